import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from loganalyze.alerts import message as words
from loganalyze.alerts.alerts import Alerts, open_alerts
from loganalyze.alerts.courier import Courier, Patience
from loganalyze.alerts.destination import destinations
from loganalyze.alerts.message import Message
from loganalyze.errors import MissingExtra, UsageError
from loganalyze.finding import Finding, Severity
from loganalyze.monitor import Monitor

SECRET = "T00000000SECRETB11111111SECRET"
QUICK = Patience(tries=4, delay=0.01)
SPIKE = Finding(
    "loss-spike", Severity.CRITICAL, 0.9, "The loss spikes", "At step 40 the loss is 9.1, 7 x its level.",
    steps=(40, 40), evidence={"ratio": 7.03125, "worst": 9.1}, fix=("clip at 1.0",),
)  # fmt: skip


@dataclass
class Server:
    """A web hook on this machine; ``answer`` says what becomes of the next request."""

    address: str = ""
    paths: list[str] = field(default_factory=list)
    bodies: list[dict] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)  # status codes to come; 200 after them
    hold: threading.Event = field(default_factory=threading.Event)  # unset: requests hang
    arrived: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def hook() -> Iterator[Server]:
    server = Server()
    server.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.arrived.set()
            server.hold.wait(30)
            code = server.answers.pop(0) if server.answers else 200
            server.paths.append(self.path)
            if code == 200:
                server.bodies.append(json.loads(body))
            try:
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # the sender did not wait

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.address = f"127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield server
    server.hold.set()
    http.shutdown()
    http.server_close()
    thread.join()


def opened(server: Server, **options: object) -> Alerts:
    return open_alerts([f"json://{server.address}/{SECRET}"], environ={}, patience=QUICK, **options)


def test_a_finding_arrives_with_its_numbers_and_the_place_of_the_report(hook: Server):
    alerts = opened(hook)
    alerts.found("exp-7", 40, SPIKE, Path("runs/exp-7"))
    assert alerts.close(10)
    (body,) = hook.bodies
    assert body["title"] == "exp-7: critical loss-spike at step 40"
    for part in (
        "At step 40 the loss is 9.1",
        "ratio = 7.03125",
        "fix: clip at 1.0",
        "run: runs/exp-7",
    ):
        assert part in body["message"]
    assert body["type"] == "failure"


def test_start_recovery_and_end_arrive(hook: Server):
    alerts = opened(hook)
    alerts.started("exp-7", 1000)
    alerts.recovered("exp-7", 80, SPIKE)
    alerts.ended("exp-7", 1000, "completed", None, "runs/exp-7/postmortem.html")
    assert alerts.close(10)
    assert [body["title"] for body in hook.bodies] == [
        "exp-7: training started",
        "exp-7: recovered from loss-spike at step 80",
        "exp-7: training completed at step 1,000",
    ]


def test_one_kind_waits_for_its_pause(hook: Server):
    now = [0.0]
    alerts = opened(hook)
    alerts._clock = lambda: now[0]
    spike, other = words.found("r", 1, SPIKE, None), Message("other", "t", "b")
    assert alerts.send(spike)
    now[0] = 299.0
    assert not alerts.send(spike)
    assert alerts.send(other), "another kind has a pause of its own"
    now[0] = 300.0
    assert alerts.send(spike)
    assert alerts.close(10)
    assert len(hook.bodies) == 3


@pytest.mark.parametrize("scheme", ["SLACK_WEBHOOK_URL", "DISCORD_WEBHOOK_URL"])
def test_web_hooks_in_the_environment_are_told(hook: Server, scheme: str):
    alerts = open_alerts(
        [], environ={scheme: f"http://{hook.address}/services/{SECRET}"}, patience=QUICK
    )
    alerts.found("exp <!channel> @everyone", 40, SPIKE, "runs/exp-7")
    assert alerts.close(10)
    assert hook.paths == [f"/services/{SECRET}"]
    text = hook.bodies[0]["text" if "SLACK" in scheme else "content"]
    assert "At step 40 the loss is 9.1" in text
    if "SLACK" in scheme:
        assert "<!channel>" not in text, "a log must not call a whole channel"
    else:
        assert hook.bodies[0]["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize(
    ("key", "url", "name"),
    [
        (
            "SLACK_WEBHOOK_URL",
            "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
            "slack",
        ),
        (
            "DISCORD_WEBHOOK_URL",
            "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
            "discord",
        ),
    ],
)
def test_the_services_own_addresses_go_through_apprise(key: str, url: str, name: str):
    (place,) = destinations([], {key: url})
    assert place.name == name
    assert "apprise" in str(place.send.__qualname__)


def test_without_any_address_there_are_none():
    assert open_alerts([], environ={}) is None


def test_a_server_that_fails_is_tried_again(hook: Server):
    hook.answers = [500, 503]
    alerts = opened(hook)
    alerts.started("exp-7", None)
    assert alerts.close(10)
    assert len(hook.paths) == 3
    assert len(hook.bodies) == 1


def test_a_server_that_always_fails_is_given_up(hook: Server, caplog: pytest.LogCaptureFixture):
    hook.answers = [500] * 99
    alerts = opened(hook)
    alerts.started("exp-7", None)
    assert alerts.close(10)
    assert len(hook.paths) == QUICK.tries
    assert [r.message for r in caplog.records] == [
        "an alert to json could not be delivered: it was refused"
    ]


def test_back_off_doubles():
    waits: list[float] = []
    done = threading.Event()

    def refuse(message: Message) -> bool:
        waits.append(time.monotonic())
        if len(waits) == 4:
            done.set()
        return False

    from loganalyze.alerts.destination import Destination

    courier = Courier([Destination("x", refuse)], Patience(tries=4, delay=0.05))
    courier.send(Message("k", "t", "b"))
    assert done.wait(10)
    gaps = [b - a for a, b in pairwise(waits)]
    assert gaps[0] >= 0.05
    assert gaps[1] >= 0.1
    assert gaps[2] >= 0.2
    courier.close(5)


def test_a_server_that_hangs_holds_up_nothing(hook: Server):
    hook.hold.clear()
    alerts = opened(hook)
    for number in range(500):
        assert alerts.send(Message(f"kind {number}", "t", "b")), "handed over at once"
    assert hook.arrived.wait(10)
    assert not alerts.close(0.05), "not all arrived, and nobody waits for it"


def test_a_server_that_hangs_holds_up_no_other(hook: Server):
    hook.hold.clear()
    got: list[Message] = []
    from loganalyze.alerts.destination import Destination

    hanging = destinations([f"json://{hook.address}/x"], {})
    courier = Courier([*hanging, Destination("y", lambda m: got.append(m) is None)], QUICK)
    courier.send(Message("k", "t", "b"))
    deadline = time.monotonic() + 10
    while not got and time.monotonic() < deadline:
        time.sleep(0.01)
    assert got
    courier.close(0.05)


def test_nobody_there_is_told_once(caplog: pytest.LogCaptureFixture):
    alerts = open_alerts(["json://127.0.0.1:9/x"], environ={}, patience=QUICK)
    alerts.started("exp-7", None)
    assert alerts.close(10)
    assert len(caplog.records) == 1


def everything_logged(caplog: pytest.LogCaptureFixture, act: Callable[[], None]) -> str:
    caplog.set_level(logging.DEBUG)
    for name in ("apprise", "urllib3", "requests", "loganalyze"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    act()
    return caplog.text


@pytest.mark.parametrize("status", [200, 500])
def test_no_secret_is_logged(hook: Server, caplog: pytest.LogCaptureFixture, capfd, status: int):
    hook.answers = [status] * 99

    def act() -> None:
        environ = {"SLACK_WEBHOOK_URL": f"http://{hook.address}/services/{SECRET}"}
        alerts = open_alerts([f"json://{hook.address}/{SECRET}"], environ=environ, patience=QUICK)
        alerts.started("exp-7", 10)
        assert alerts.close(10)
        assert hook.paths

    assert SECRET not in everything_logged(caplog, act)
    out, err = capfd.readouterr()
    assert SECRET not in out + err


def test_an_address_that_is_not_understood_is_not_shown():
    with pytest.raises(UsageError, match="begins with nonsense://") as error:
        destinations([f"nonsense://{SECRET}"], {})
    assert SECRET not in str(error.value)
    with pytest.raises(UsageError, match="without a scheme") as error:
        destinations([SECRET], {})
    assert SECRET not in str(error.value)
    with pytest.raises(UsageError, match="SLACK_WEBHOOK_URL holds no web address") as error:
        destinations([], {"SLACK_WEBHOOK_URL": f"file:///{SECRET}"})
    assert SECRET not in str(error.value)


def test_without_apprise_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(MissingExtra, match=r"loganalyze\[alerts\]"):
        destinations(["json://127.0.0.1/x"], {})
    (place,) = destinations([], {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/a/b/c"})
    assert place.name == "slack", "web hooks need no package"


def test_secrets_and_controls_of_the_log_are_not_sent():
    finding = Finding("crash", Severity.CRITICAL, 1.0, "t", "token=abcdef123456 \x1b[31m\u202ered")
    body = words.found("r", 1, finding, None).body
    assert "abcdef123456" not in body
    assert "\x1b" not in body
    assert "\u202e" not in body


def test_a_training_with_a_server_that_hangs_goes_on(hook: Server, tmp_path: Path, monkeypatch):
    hook.hold.clear()
    monitor = Monitor(tmp_path, alerts=[f"json://{hook.address}/x"], stop_on="critical")
    close = monitor._alerts.close
    monkeypatch.setattr(monitor._alerts, "close", lambda: close(0.05))
    assert any(monitor.log(step, loss=float("nan")) for step in range(1, 30))
    assert monitor.finish() is not None
    assert not hook.bodies


def test_a_training_tells_start_finding_and_end(hook: Server, tmp_path: Path):
    monitor = Monitor(tmp_path / "exp", alerts=[f"json://{hook.address}/x"], planned_steps=50)
    for step in range(1, 31):
        monitor.log(step, loss=float("nan") if step > 20 else 1.0 + 1 / step)
    monitor.finish()
    titles = [body["title"] for body in hook.bodies]
    assert titles[0] == "exp: training started"
    assert any(title.startswith("exp: critical loss-nonfinite at step 2") for title in titles)
    assert titles[-1] == "exp: training completed at step 30"
    assert "postmortem.html" in hook.bodies[-1]["message"]
