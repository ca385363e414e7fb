"""The door for Slack: clicks come in over HTTP or over Socket Mode, and go to the desk.

Slack wants an answer within 3 seconds, so a click is acknowledged first and acted on beside; a process that
is killed in between loses it, and the message still has its buttons. Who clicked is looked up in `people.yaml`
by Slack's id of them; who is not there, or may not, is told so where nobody else sees it. Over HTTP the
signature is checked before anything is parsed, and counts once.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from slack_bolt import Ack, App, BoltRequest
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier

from app.foundation.clock import Clock
from app.foundation.errors import Invalid, MendlineError, NotAllowed, NotFound, NotSignedIn
from app.foundation.lanes import Lane
from app.foundation.logging import log
from app.people import slack_blocks as blocks
from app.people.channel import NotDelivered
from app.people.desk import Desk
from app.people.directory import DirectoryFile
from app.people.person import Person, Scope
from app.people.settings import PeopleSettings
from app.people.slack_api import asked, web_client
from app.people.slack_blocks import About

_FORMS = ("deny", "approve_why")
_VERBS = ("approve", "snooze", "other", "type", "undo", *_FORMS)
# What the card itself shows a moment later needs no line in the thread.
_SHOWN = frozenset({"approve", "deny"})
_WINDOW = 300  # seconds by which a time stamp may be off, as Slack's guide to verifying requests has it
_LONGEST_WAIT = 30.0


class BadSignature(NotSignedIn):
    """Not from Slack, too old, or here before."""

    code = "bad_signature"


class SlackDoor:
    """Takes clicks. `start` listens by Socket Mode where the app token is set; `close` lets acts end."""

    def __init__(self, settings: PeopleSettings, directory: DirectoryFile, desk: Desk, clock: Clock) -> None:
        self._settings = settings
        self._directory = directory
        self._desk = desk
        self._client = web_client(settings)
        self._answering = Lane("slack-door", 4)
        # Not a lane: what was acknowledged is done, also when we end.
        self._acting = ThreadPoolExecutor(4, thread_name_prefix="slack-acts")
        self._listeners = ThreadPoolExecutor(4, thread_name_prefix="slack-listeners")
        self._signatures = Signatures(settings.slack_signing_secret.get_secret_value(), clock)
        self._stop = threading.Event()
        self._socket: SocketModeHandler | None = None
        self._thread = threading.Thread(target=self._connect, name="slack-socket", daemon=True)
        self._app = self._bolt()

    def _bolt(self) -> App:
        token = self._settings.slack_bot_token.get_secret_value()

        def authorize(team_id: str | None, enterprise_id: str | None) -> AuthorizeResult:
            # Asking Slack who we are could take longer than it waits for us.
            return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=token)

        app = App(
            name="mendline",
            client=WebClient(base_url=self._settings.slack_api),
            authorize=authorize,
            # Checked in `take`, before anything is parsed; over Socket Mode there is none.
            request_verification_enabled=False,
            ssl_check_enabled=False,
            listener_executor=self._listeners,
            logger=logging.getLogger("slack_bolt"),
        )
        for verb in _VERBS:
            app.action(verb)(self._clicked)
        for verb in _FORMS:
            app.view(verb)(self._submitted)
        return app

    # --- over HTTP ------------------------------------------------------------------------

    async def take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str, str]:
        """Status, media type and body of the answer to a request; raises BadSignature, NotFound."""
        self._signatures.check(headers, body)
        return await self._answering.run(self._dispatch, headers, body)

    def _dispatch(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str, str]:
        answer = self._app.dispatch(BoltRequest(body=body.decode(), headers=dict(headers)))
        media_type = answer.first_headers().get("content-type", "text/plain")
        return answer.status, media_type, answer.body

    # --- over Socket Mode -----------------------------------------------------------------

    def start(self) -> None:
        """Connects where the app token is set, as soon as Slack can be reached."""
        if self._settings.slack_app_token.get_secret_value():
            self._thread.start()

    def _connect(self) -> None:
        """Until the first connection stands; from then on the library connects again by itself."""
        self._socket = SocketModeHandler(
            self._app,
            self._settings.slack_app_token.get_secret_value(),
            web_client=web_client(self._settings),
            ping_interval=2,  # four of them without an answer: the connection is gone
        )
        wait = 1.0
        while not self._stop.is_set():
            says = "the socket was refused"
            try:
                asked(self._socket.client.connect_to_new_endpoint)
            except NotDelivered as refused:
                says = refused.says
            if self._socket.client.is_connected():
                log(__name__).info("slack.connected")
                return
            log(__name__).warning("slack.not_connected", says=says, again_in=wait)
            self._stop.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def close(self) -> None:
        """Takes nothing more, and lets what was taken end."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_LONGEST_WAIT)
        if self._socket is not None:
            self._socket.close()  # type: ignore[no-untyped-call]
        self._answering.close()
        self._listeners.shutdown()
        self._acting.shutdown()

    # --- acting ---------------------------------------------------------------------------

    def _clicked(self, ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        ack()
        self._acting.submit(self._take_click, body, action)

    def _take_click(self, body: dict[str, Any], action: dict[str, Any]) -> None:
        user, verb, place = body["user"]["id"], action["action_id"], body["container"]
        with self._telling(user, place.get("channel_id", "")):
            person, this = self._person(user), blocks.about(action["block_id"])
            if verb in _FORMS:
                person.need(Scope.APPROVE)
                form = blocks.reason_form(verb, this, place["channel_id"])
                asked(lambda: self._client.views_open(trigger_id=body["trigger_id"], view=form))
                return
            chosen = (action.get("selected_option") or {}).get("value", "")
            says = blocks.words(self._does(person, verb, this, chosen), 1000)
            if verb not in _SHOWN:
                # It is done and recorded, whether or not Slack can be told.
                with suppress(NotDelivered):
                    asked(
                        lambda: self._client.chat_postMessage(
                            channel=place["channel_id"],
                            thread_ts=place["message_ts"],
                            text=says,
                            blocks=blocks.reply_blocks(says),
                        )
                    )

    def _submitted(self, ack: Ack, body: dict[str, Any], view: dict[str, Any]) -> None:
        ack()
        self._acting.submit(self._take_form, body["user"]["id"], view)

    def _take_form(self, user: str, view: dict[str, Any]) -> None:
        channel, this = blocks.form_about(view["private_metadata"])
        with self._telling(user, channel):
            reason = blocks.reason_of(view["state"]["values"])
            answer = self._desk.deny if view["callback_id"] == "deny" else self._desk.approve
            answer(self._person(user), this.approval_id, this.plan_hash, reason)

    def _does(self, person: Person, verb: str, this: About, chosen: str) -> str:
        """Has the desk do it; what was done in a sentence."""
        match verb:
            case "approve":
                return self._desk.approve(person, this.approval_id, this.plan_hash)
            case "snooze":
                return self._desk.snooze(person, this.approval_id, timedelta(minutes=int(chosen)))
            case "other":
                return self._desk.other(person, this.approval_id, this.plan_hash, chosen)
            case "type" if this.approval_id:
                return self._desk.deny(person, this.approval_id, this.plan_hash, right_type=chosen)
            case "type":
                return self._desk.correct(person, this.incident_id, chosen)
            case "undo":
                return self._desk.undo(person, this.remediation_id)
        raise NotFound(f"there is no button {verb!r}")

    def _person(self, user: str) -> Person:
        """Who has this id in Slack; raises NotAllowed, also while nobody can tell."""
        try:
            member = self._directory.read().member(user)
        except Invalid as error:
            raise NotAllowed(
                f"nobody is let in while people.yaml cannot be read ({error.says}); an admin has to mend it"
            ) from None
        if member is None:
            raise NotAllowed(
                f"I do not know you. An admin can let you in: in people.yaml, at your entry, `slack: {user}`"
            )
        return member.person

    @contextmanager
    def _telling(self, user: str, channel: str) -> Iterator[None]:
        """Whatever goes wrong is told to whoever clicked, and to nobody else."""
        try:
            yield
            return
        except NotDelivered as refused:
            says = f"Slack did not take part: {refused.says}. Please click again."
        except MendlineError as error:
            says = f"That was not done: {error.says}."
            says += "".join(f" {place}: {why}." for place, why in error.places)
        except Exception as error:
            log(__name__).error("slack.act_failed", exc_info=error)
            says = "That was not done: something in Mendline is broken; its log has it."
        log(__name__).info("slack.refused", user=user, says=says)
        with suppress(NotDelivered):
            text = blocks.words(says, 2000)
            asked(lambda: self._client.chat_postEphemeral(channel=channel, user=user, text=text))


class Signatures:
    """Slack's signatures: right, at most 5 minutes old, and each good for one request.

    What came is remembered in this process. What was signed before it began is refused, so that nothing can
    be played again over a restart either.
    """

    def __init__(self, secret: str, clock: Clock) -> None:
        self._clock = clock
        self._verifier = SignatureVerifier(secret, self) if secret else None  # type: ignore[arg-type]
        self._began = int(self.now())
        self._came: dict[str, int] = {}
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since 1970, as the verifier wants them."""
        return self._clock.now().timestamp()

    def check(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises BadSignature, NotFound while there is no secret."""
        if self._verifier is None:
            raise NotFound("clicks come here once MENDLINE_PEOPLE__SLACK_SIGNING_SECRET is set")
        at, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
        right = False
        with suppress(ValueError, TypeError):  # of what is no time, no text or no ASCII
            right = self._verifier.is_valid(body, at, signature)
        if not right:
            raise BadSignature(
                "X-Slack-Signature is missing, too old, or not that of this body and our secret"
            )
        with self._lock:
            oldest = self.now() - _WINDOW
            self._came = {known: when for known, when in self._came.items() if when >= oldest}
            if signature in self._came or int(at) < self._began:
                raise BadSignature("this request was here before; it counts once")
            self._came[signature] = int(at)
