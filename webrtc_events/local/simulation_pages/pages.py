"""The section Simulate of the console of a `serve`, as a blueprint."""

import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webrtc_events.console.audit import record_change
from webrtc_events.core.errors import NotFound
from webrtc_events.core.model import EventType
from webrtc_events.local.local_error import LocalError
from webrtc_events.local.recordings import recording_names, registration_of
from webrtc_events.local.simulation.call_plan import CallPlan, Outcome
from webrtc_events.local.simulation.compose import registration_for
from webrtc_events.local.simulation.form_fields import FormErrors
from webrtc_events.local.simulation.progress import Progress
from webrtc_events.local.simulation.request import SimulationRequest
from webrtc_events.local.simulation.simulations import Simulations
from webrtc_events.local.simulation_pages.device_subscriber import (
    DEVICE_TYPES,
    DeviceSubscriber,
    kinds_of,
)
from webrtc_events.local.simulation_pages.subscriber import Subscriber

__all__ = ["blueprint"]

# Of the console, where it keeps traces of calls.
_CALL_PAGE: Final = "calls.call"
_SUBSCRIPTION_PAGE: Final = "subscriptions.one"
_SEEDS: Final = 1_000_000


def blueprint(
    simulations: Simulations, subscriber: Subscriber, to_devices: DeviceSubscriber | None, sink: str
) -> Blueprint:
    """`sink` is the base URL of the local sink, which a subscription is offered.

    `to_devices` None: the API has no subscriptions to devices.
    """
    pages = Blueprint(
        "simulate", __name__, url_prefix="/simulate", template_folder="templates", static_folder="static"
    )
    shown = _Pages(simulations, subscriber, to_devices, sink)
    pages.add_url_rule("/", "index", shown.index)
    pages.add_url_rule("/", "start", shown.start, methods=["POST"])
    pages.add_url_rule("/runs", "runs", shown.runs)
    pages.add_url_rule("/runs/<name>/stop", "stop", shown.stop, methods=["POST"])
    pages.add_url_rule("/subscribe", "subscribe", shown.subscribe, methods=["POST"])
    if to_devices is not None:
        pages.add_url_rule("/devices", "subscribe_to_device", shown.subscribe_to_device, methods=["POST"])
    return pages


@dataclass(frozen=True, slots=True)
class _Filled:
    """A form as it is shown: its values, and what is wrong with them, by the names of its fields."""

    values: Mapping[str, str]
    faults: Mapping[str, str] = field(default_factory=dict)


class _Pages:
    def __init__(
        self,
        simulations: Simulations,
        subscriber: Subscriber,
        to_devices: DeviceSubscriber | None,
        sink: str,
    ) -> None:
        self._simulations = simulations
        self._subscriber = subscriber
        self._to_devices = to_devices
        self._sink = sink

    def index(self) -> str:
        """`?like=ID` fills the form as for that simulation, `?registration=ID` names who is called."""
        like = self._simulations.progress(request.args.get("like", ""))
        called = {name: value for name, value in request.args.items() if name == "registration"}
        return self._page(_played(like, called), _subscribed(like, self._sink))

    def start(self) -> Response | tuple[str, int]:
        try:
            name = self._simulations.start(SimulationRequest.from_form(request.form))
        except FormErrors as errors:
            return self._page(_Filled(request.form, errors.fields), _subscribed(None, self._sink)), 400
        except LocalError as error:
            flash(str(error), "bad")
            return redirect(url_for(".index"), 303)
        record_change("simulate", "started", simulation=name)
        return redirect(url_for(".index", like=name), 303)

    def runs(self) -> str:
        """For the page's script: what replaces the list of simulations."""
        return render_template("simulate/_runs.html", runs=self._simulations.recent(), call_url=_call_url)

    def stop(self, name: str) -> Response:
        if not self._simulations.stop(name):
            raise NotFound("This simulation is not known any more.")
        record_change("stop-simulation", "asked", simulation=name)
        return redirect(url_for(".index", like=name), 303)

    def subscribe(self) -> Response | tuple[str, int]:
        return self._subscribed_by(
            lambda: self._subscriber.subscribe(request.form),
            lambda faults: self._page(_played(None), _Filled(request.form, faults)),
        )

    def subscribe_to_device(self) -> Response | tuple[str, int]:
        to_devices = self._to_devices
        if to_devices is None:
            raise NotFound("This service has no subscriptions to devices.")
        types = request.form.getlist("device-types")
        filled = _subscribed(None, self._sink)
        return self._subscribed_by(
            lambda: to_devices.subscribe(request.form, types),
            lambda faults: self._page(_played(None), filled, _Filled(request.form, faults), types),
        )

    def _subscribed_by(
        self, subscribe: Callable[[], str], refused: Callable[[Mapping[str, str]], str]
    ) -> Response | tuple[str, int]:
        """`refused` is the page with what is wrong."""
        try:
            subscription = subscribe()
        except FormErrors as errors:
            return refused(errors.fields), 400
        except LocalError as error:
            flash(str(error), "bad")
            return redirect(url_for(".index"), 303)
        record_change("subscribe", "created", subscription=subscription)
        flash(f"Subscribed: {subscription}", "good")
        return redirect(url_for(".index", subscription=subscription), 303)

    def _page(
        self,
        played: _Filled,
        subscribed: _Filled,
        device: _Filled | None = None,
        device_types: Sequence[str] = DEVICE_TYPES,
    ) -> str:
        return render_template(
            "simulate/index.html",
            played=played,
            subscribed=subscribed,
            fields=self._subscriber.form.fields,
            has_devices=self._to_devices is not None,
            device=device or _device_filled(self._sink),
            device_types=device_types,
            device_kinds=kinds_of(DEVICE_TYPES),
            recordings=recording_names(),
            outcomes=list(Outcome),
            registrations=_registrations(),
            runs=self._simulations.recent(),
            call_url=_call_url,
            subscription_url=_subscription_url(request.args.get("subscription", "")),
        )


def _played(like: Progress | None, given: Mapping[str, str] | None = None) -> _Filled:
    """A recorded call leaves the fields of a composed one as they are at first."""
    seed = random.randrange(1, _SEEDS)  # noqa: S311 - chooses another call, not a secret
    usual = SimulationRequest(call=CallPlan(seed=seed)).as_form()
    return _Filled({**usual, **(like.request.as_form() if like is not None else {}), **(given or {})})


def _subscribed(like: Progress | None, sink: str) -> _Filled:
    registration = registration_for(CallPlan().receiver) if like is None else like.registration
    return _Filled(
        {
            "sink": f"{sink}/simulated",
            "types": EventType.SESSION_INVITATION,
            "config.subscriptionDetail.registrationId": registration,
            "config.subscriptionDetail.sessionId": (like and like.request.session) or "",
        }
    )


def _device_filled(sink: str) -> _Filled:
    """A device that is registered for the usual receiver of composed calls."""
    registration = registration_for(CallPlan().receiver)
    device = str(uuid.uuid5(uuid.NAMESPACE_URL, registration))
    return _Filled({"device-sink": f"{sink}/device", "deviceId": device, "device-registration": registration})


def _registrations() -> dict[str, str]:
    """The registrations that calls are for if nobody says another, and which calls those are."""
    composed = {registration_for(CallPlan().receiver): "a composed call to the usual receiver"}
    return composed | {registration_of(name): f"the recorded call {name}" for name in recording_names()}


def _call_url(session: str) -> str | None:
    """The page of a call, in a console that has one."""
    return url_for(_CALL_PAGE, session=session) if _CALL_PAGE in current_app.view_functions else None


def _subscription_url(subscription: str) -> str | None:
    return url_for(_SUBSCRIPTION_PAGE, subscription_id=subscription) if subscription else None
