"""The worker: composition root of its threads, the dispatcher, the sweeper and those beside them."""

import logging
import random
from typing import TYPE_CHECKING, Any, Self

from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import Clock
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.egress_proxy import EgressProxy
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.free_memory import free_memory_loop
from webrtc_events.core.log_masking import Masking, mask_logs
from webrtc_events.core.loops import Loop
from webrtc_events.core.process import is_compiled, raise_descriptor_limit
from webrtc_events.core.settings import PREFIX, Settings, SettingsError
from webrtc_events.delivery.attempt_notes import AttemptNotes
from webrtc_events.delivery.attempt_spans import AttemptSpans
from webrtc_events.delivery.cloud_event import EventFormats
from webrtc_events.delivery.dispatcher import Dispatcher, DispatcherOptions, DispatcherSettings
from webrtc_events.delivery.notifications import NotificationSettings, NotificationWriter
from webrtc_events.delivery.store_loop import StoreLoop
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.client import SinkClient, SinkPool
from webrtc_events.sinks.egress import Egress
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.signing import RequestSigner
from webrtc_events.store.durability.watch import StoreWatch
from webrtc_events.store.reporter import Reporter
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.store_figures import StoreFigures
from webrtc_events.store.sweeper import Sweeper
from webrtc_events.store.trace_recorder import TraceRecorder

if TYPE_CHECKING:
    from webrtc_events.operator_events.operator_loops import OperatorLoops
    from webrtc_events.operator_events.operator_sink import OperatorSink
    from webrtc_events.sinks.client_certificates import ClientCertificates
    from webrtc_events.sinks.token_source import TokenSource
    from webrtc_events.telemetry.exporter import Exporter
    from webrtc_events.telemetry.tracing import Tracing

__all__ = ["Worker"]

log = logging.getLogger(__name__)

_PAUSE_S = 0.5
# To write the last entries of traces.
_WRITE_S = 3.0
# The last report may take this long, whatever is left of the grace.
_REPORT_S = 0.5


class Worker:
    """Delivers and sweeps for every partition. Any number of workers may share a store."""

    def __init__(
        self,
        *,
        watch: StoreWatch,
        dispatcher: Dispatcher,
        sink: SinkClient[Any],
        clock: Clock,
        activity: Activity,
        recorder: TraceRecorder | None = None,
    ) -> None:
        self.watch = watch
        self._store = watch.store
        self._dispatcher = dispatcher
        self._sink = sink
        self._clock = clock
        self._wakeups = watch.store.claims.wakeups()
        dispatcher.hear(self._wakeups)
        self._dispatcher_loop = Loop("dispatcher", dispatcher.step, clock)
        self._sweeper = Sweeper(watch.store, clock)
        self._sweeper_loop = Loop("sweeper", self._sweep, clock)
        self._free_memory = free_memory_loop(clock)
        self._traces = None if recorder is None else recorder.loop
        self._reporter = Reporter(
            watch,
            activity,
            clock,
            role="worker",
            compiled=is_compiled("webrtc_events.delivery.task_runner"),
            still=lambda: [name for name, alive in self.alive().items() if not alive],
            worker=lambda: dispatcher.report,
        )
        self._activity = activity
        self._figures: StoreFigures | None = None
        self._operator_loops: OperatorLoops | None = None

    @property
    def _loops(self) -> tuple[Loop, ...]:
        """In the order in which they start and stop."""
        loops: tuple[Loop, ...]
        loops = self._dispatcher_loop, self._sweeper_loop, self.watch.loop, self._free_memory
        loops += () if self._figures is None else (self._figures.loop,)
        return loops if self._operator_loops is None else (*loops, *self._operator_loops.loops)

    @classmethod
    def build(
        cls,
        settings: Settings,
        clock: Clock,
        *,
        options: DispatcherOptions | None = None,
        store_options: StoreOptions | None = None,
        formats: EventFormats | None = None,
        exporter: "Exporter | None" = None,
        tracing: "Tracing | None" = None,
    ) -> Self:
        """Composes a worker. From here on the process's logs are masked, see log_masking.py.

        `formats`: those of the settings, where the caller has them. `exporter`: of its metrics, `tracing`:
        records its spans; they are the caller's to start and stop.

        Raises:
            Unavailable, PartitionMismatch, UnfitStore: see `StoreWatch.connect`.
        """
        mask_logs(Masking.of(settings))
        _log_strict(settings)
        # First: nothing is opened yet.
        operator_sink = _operator_sink(settings)
        descriptors = raise_descriptor_limit()
        options = options or DispatcherOptions.of(settings, descriptors)
        watch = StoreWatch.connect(settings, clock, store_options)
        sink = _sink_client(settings, clock, options.limits, descriptors)
        recorder = TraceRecorder.of(settings, watch.store.connection, clock)
        activity = Activity()
        watch.store.connection.given_up.tell(activity, recorder)
        dispatcher = Dispatcher(
            store=watch.store,
            sink=sink,
            writer=_writer(settings, formats or EventFormats.of(settings), clock, tracing),
            settings=DispatcherSettings.of(settings),
            clock=clock,
            random=random.random,
            options=options,
            calls=StoreLoop(sink, clock),
            notes=None if recorder is None else AttemptNotes(recorder),
            activity=activity,
        )
        worker = cls(
            watch=watch, dispatcher=dispatcher, sink=sink, clock=clock, activity=activity, recorder=recorder
        )
        if operator_sink is not None:
            worker._serve_operators(operator_sink, settings, options.limits, descriptors)
        if exporter is not None:
            worker._expose(exporter, settings, tracing)
        return worker

    def _serve_operators(
        self, operator_sink: "OperatorSink", settings: Settings, limits: SinkLimits, descriptors: int
    ) -> None:
        """By another client, so that neither way holds up the other."""
        from webrtc_events.operator_events.operator_loops import OperatorLoops

        self._operator_loops = OperatorLoops.of(
            operator_sink,
            settings,
            self._store,
            self._dispatcher.hosts,
            self._activity,
            self._clock,
            exchange_ms=limits.total_ms,
            client=_sink_client(settings, self._clock, limits, descriptors),
            signer=_signer(settings, self._clock),
        )

    def _expose(self, exporter: "Exporter", settings: Settings, tracing: "Tracing | None") -> None:
        from webrtc_events.telemetry import sources

        exporter.add(
            sources.of_build(compiled=is_compiled("webrtc_events.delivery.task_runner")),
            sources.of_delivery(self._activity),
            sources.of_spans({} if tracing is None else tracing.counts),
            sources.of_worker(
                report=lambda: self._dispatcher.report,
                circuits=lambda: self._dispatcher.circuits,
                sweeps=lambda: self._sweeper.rounds,
                alive=self.alive,
            ),
            *sources.of_watched_store(self.watch.checks, self._store.client.round_trips),
        )
        if exporter.reads_store:
            self._figures = figures = StoreFigures(self._store, settings.store_watermark, self._clock)
            exporter.add(sources.of_store(lambda: figures.values))

    def start(self) -> None:
        for loop in (*self._loops, self._reporter.loop):
            loop.start()
        if self._traces is not None:
            self._traces.start()

    def stop(self, grace_s: float = 15.0) -> bool:
        """Stops claiming, lets requests in flight end and settles them, then closes.

        Returns False if something was still in flight after `grace_s` seconds: its lease runs
        out and another worker sends it again.
        """
        until = self._clock.monotonic() + grace_s
        for loop in self._loops:
            loop.ask_to_stop()
        self._sink.wake()
        ended = [loop.join(max(0.0, until - self._clock.monotonic())) for loop in self._loops]
        if not all(ended):
            log.error("a thread of the worker does not stop; leaving it to the end of the process")
            return False
        self._dispatcher.leave()
        drained = self._drain(until)
        # It counts what was drained.
        self._reporter.loop.ask_to_stop()
        if not self._dispatcher.close(max(0.0, until - self._clock.monotonic())):
            log.error("the store has not answered the last call; leaving it to the end of the process")
            return False
        self._stop_traces()
        reported = self._reporter.loop.join(max(_REPORT_S, until - self._clock.monotonic()))
        self._wakeups.close()
        self._sink.close()
        if self._operator_loops is not None:
            self._operator_loops.close(store_answers=reported)
        if reported:
            self._store.close()
        else:
            log.warning("the store does not take the last report; leaving it to the end of the process")
        return drained

    def alive(self) -> dict[str, bool]:
        """Whether each thread still makes its rounds, the dispatcher's with the thread of its calls."""
        loops = {
            "dispatcher": self._dispatcher_loop,
            "sweeper": self._sweeper_loop,
            "store watch": self.watch.loop,
        }
        alive = {name: loop.alive() for name, loop in loops.items()}
        return alive | {"dispatcher": alive["dispatcher"] and self._dispatcher.alive()}

    def _stop_traces(self) -> None:
        """Once all is delivered: what is not written by then is not missed."""
        if self._traces is not None:
            self._traces.ask_to_stop()
            if not self._traces.join(_WRITE_S):
                log.warning("the traces of calls lack their last entries: the store does not answer")

    def _drain(self, until: float) -> bool:
        while not self._dispatcher.idle:
            if self._clock.monotonic() >= until:
                log.warning("stopping with deliveries on their way; their leases will run out")
                return False
            try:
                self._dispatcher.step(claiming=False)
            except Unavailable:
                log.warning("cannot settle while stopping: the store does not answer")
                self._clock.sleep(_PAUSE_S)
        return True

    def _sweep(self) -> None:
        self._sweeper_loop.pause(self._sweeper.step())


def _operator_sink(settings: Settings) -> "OperatorSink | None":
    """None: this deployment has none, and the worker does not load what it would need for it.

    Raises:
        SettingsError: no sink may have its URL.
    """
    if settings.operator_sink is None:
        return None
    from webrtc_events.operator_events.operator_sink import OperatorSink

    return OperatorSink.of(settings)


def _sink_client(settings: Settings, clock: Clock, limits: SinkLimits, descriptors: int) -> SinkClient[Any]:
    policy = AddressPolicy(settings.sink_allowed_networks, settings.sink_ports)
    proxy = EgressProxy.of(settings)
    return SinkClient(
        policy=policy,
        ca_file=settings.sink_ca_file,
        clock=clock,
        limits=limits,
        pool=SinkPool.of(settings.sink_in_flight, settings.sink_connections, descriptors),
        egress=None if proxy is None else Egress(proxy, policy),
        certificates=_client_certificates(settings, clock),
    )


def _client_certificates(settings: Settings, clock: Clock) -> "ClientCertificates | None":
    """None: this deployment shows none, and the worker does not load what it would read them with.

    Raises:
        SettingsError: the files do not hold what they should.
    """
    if not settings.sink_client_certificates:
        return None
    from webrtc_events.sinks.client_certificates import CertificateError, ClientCertificates

    try:
        return ClientCertificates(settings.sink_client_certificates, clock)
    except CertificateError as error:
        raise SettingsError([f"{PREFIX}SINK_CLIENT_CERTIFICATES: {error}"]) from None


def _log_strict(settings: Settings) -> None:
    if settings.strict_cloudevents.ids:
        # The worker does not know which clients exist: only a reader of the log can notice a misspelt id.
        ids = ", ".join(map(repr, sorted(settings.strict_cloudevents.ids)))
        log.info("session-status goes in the strict form to the clients %s", ids)


def _writer(
    settings: Settings, formats: EventFormats, clock: Clock, tracing: "Tracing | None"
) -> NotificationWriter:
    spans = None
    if tracing is not None:
        # Whatever the log may show.
        masking = Masking(settings.secret_key[0], show=False)
        spans = AttemptSpans(tracing, clock, masking.text, masking.pseudonym)
    signer, tokens = _signer(settings, clock), _token_source(settings, clock)
    return NotificationWriter(formats, NotificationSettings.of(settings), signer, spans, tokens)


def _token_source(settings: Settings, clock: Clock) -> "TokenSource | None":
    """None: this deployment fetches no tokens, and the worker does not load what it would sign with."""
    if not settings.token_keys:
        return None
    from webrtc_events.sinks.client_assertions import ClientAssertions, audiences_by_uri
    from webrtc_events.sinks.token_source import TokenSource

    policy = AddressPolicy(settings.sink_allowed_networks, settings.sink_ports)
    audiences = audiences_by_uri(settings.token_audiences, policy)
    assertions = ClientAssertions(settings.token_keys[0], audiences)
    return TokenSource(assertions, CredentialBox(settings.secret_key), clock)


def _signer(settings: Settings, clock: Clock) -> RequestSigner | None:
    """None: this deployment does not sign, and the worker does not load what it would sign with."""
    if not settings.signing_keys:
        return None
    from webrtc_events.sinks.signatures import Signer

    return Signer.of(settings, clock)
