"""The store, in Redis or Valkey (7 or later): the connection, and a part for each kind of what is kept.

Each Lua script is one atomic step in one partition; a part may need several. Every part raises
`errors.Unavailable` when the store cannot be reached, is too full, or does not answer in time. Time here is
the store's own, in ms since the epoch.
"""

from functools import cached_property

from webrtc_events.core.clock import Clock, SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.store.appends import AppendOptions
from webrtc_events.store.backlog import Backlog
from webrtc_events.store.call_traces import CallTraces
from webrtc_events.store.channel_logs import ChannelLogs
from webrtc_events.store.channel_records import ChannelRecords
from webrtc_events.store.claims import ClaimLimits, Claims
from webrtc_events.store.client_index import ClientIndex
from webrtc_events.store.connection import Connection
from webrtc_events.store.deadlines import Deadlines
from webrtc_events.store.device_ends import DeviceEnds
from webrtc_events.store.device_marks import DeviceMarks
from webrtc_events.store.events import NetworkEvents
from webrtc_events.store.expiry import Expiry
from webrtc_events.store.first_start import (
    admits_channels,
    check_partition_count,
    omits_defaults,
    packs_requests,
    shares_payloads,
)
from webrtc_events.store.initial_events import InitialEvents
from webrtc_events.store.operator_outbox import OperatorOutbox
from webrtc_events.store.process_reports import ProcessReports
from webrtc_events.store.rate_limits import RateLimits, RequestRate
from webrtc_events.store.rebuild import Rebuild
from webrtc_events.store.redis.scripts import Client, Scripts, connect, store_errors
from webrtc_events.store.registrations import RegistrationRecords
from webrtc_events.store.retries import Retries
from webrtc_events.store.running_workers import RunningWorkers
from webrtc_events.store.script_options import DEFAULT_OPTIONS, StoreOptions, script_options
from webrtc_events.store.session_index import SessionIndex
from webrtc_events.store.session_joins import SessionJoins
from webrtc_events.store.session_states import SessionStates
from webrtc_events.store.subscription_creates import SubscriptionCreates
from webrtc_events.store.subscription_lists import SubscriptionLists
from webrtc_events.store.subscriptions import SubscriptionLimits, SubscriptionRecords

__all__ = ["Store"]


class Store:
    """What is new is taken while `guard` permits it. `damage` logs records that cannot be read.

    `shares`: outboxes may share payloads. `packs`: requests are kept packed. `omits`: records lack defaults.
    `admits_channels`: new ones may be made.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        options: StoreOptions = DEFAULT_OPTIONS,
        clock: Clock | None = None,
        *,
        shares: bool,
        packs: bool = False,
        omits: bool = False,
        admits_channels: bool = True,
    ) -> None:
        self.client = client
        given = script_options(settings, options, omits_defaults=omits)
        self.scripts = scripts = Scripts(client, given, options.offset_ms)
        self.partitions = settings.partitions
        self.deadlines = Deadlines.of(settings)
        clock = clock or SystemClock()
        self.connection = connection = Connection.of(client, scripts, settings.partitions, clock)
        self.guard, self.damage = connection.guard, connection.damage
        self.rebuild = Rebuild(connection, settings.retention_s * 1000)
        self.client_index = ClientIndex(connection, self.rebuild)
        self.session_states = SessionStates(connection)
        self.session_index = SessionIndex(connection)
        self.initial_events = InitialEvents(connection, self.session_states, self.deadlines)
        self.device_marks = DeviceMarks(connection, clock)
        self.subscriptions = self._subscriptions(settings, packs=packs, omits=omits)
        self.subscription_lists = SubscriptionLists(connection, self.client_index)
        appends = AppendOptions.of(settings, options.shared_from if shares else 0)
        self.events = NetworkEvents(connection, self.session_states, self.session_index, appends)
        self.claims = Claims(connection, ClaimLimits.of(settings), self.initial_events)
        self.retries = Retries(connection)
        ends = DeviceEnds(connection, self.events.devices, self.device_marks)
        self.expiry = Expiry(connection, self.rebuild, self.client_index, self.initial_events, ends)
        self.registrations = RegistrationRecords(connection)
        self.workers = RunningWorkers(connection)
        self.rate_limits = RateLimits(connection, RequestRate.of(settings))
        self.channels = ChannelRecords(connection, settings, admits=admits_channels)
        self.channel_logs = ChannelLogs(connection, self.channels.idle_ms)

    def _subscriptions(self, settings: Settings, *, packs: bool, omits: bool) -> SubscriptionRecords:
        must_be_known = settings.require_known_registration
        joins = SessionJoins(
            self.connection, self.session_states, self.session_index, must_be_known=must_be_known
        )
        limits = SubscriptionLimits.of(settings)
        creates = SubscriptionCreates(self.connection, limits, self.client_index, self.session_index, joins)
        return SubscriptionRecords(
            self.connection,
            creates,
            self.client_index,
            self.session_index,
            self.initial_events,
            self.device_marks,
            packs=packs,
            omits_defaults=omits,
        )

    @cached_property
    def processes(self) -> ProcessReports:
        """For people, as the next two, which keep nothing of their own."""
        return ProcessReports(self.connection)

    @cached_property
    def backlog(self) -> Backlog:
        return Backlog(self.connection)

    @cached_property
    def call_traces(self) -> CallTraces:
        return CallTraces(self.connection)

    @cached_property
    def operator_outbox(self) -> OperatorOutbox:
        return OperatorOutbox(self.connection)

    @classmethod
    def connect(cls, settings: Settings, options: StoreOptions = DEFAULT_OPTIONS) -> "Store":
        """Opens the store and checks that it was made for as many partitions.

        Raises:
            Unavailable: it cannot be reached.
            PartitionMismatch: it was made for another number.
        """
        client = connect(settings.redis_url)
        try:
            check_partition_count(client, settings.partitions)
            shares = shares_payloads(client, settings.shared_payloads)
            return cls(
                client,
                settings,
                options,
                shares=shares,
                packs=packs_requests(client, settings.shared_payloads),
                omits=omits_defaults(client, settings.shared_payloads),
                admits_channels=admits_channels(client, settings.shared_payloads),
            )
        except BaseException:
            client.close()
            raise

    def close(self) -> None:
        self.client.close()

    def ping(self) -> None:
        """Raises Unavailable unless the store answers."""
        with store_errors():
            self.client.ping()
