"""Redaction: secrets go, messages stay readable, and no text makes it slow."""

import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.intake.redact import MARK, redact, redact_value

# A shared machine may be slow at any moment; what must be fast has its own tests.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Made up, and put together here so that no scanner of this repository takes them for real.
AWS_ID = "AKIA" + "IOSFODNN7EXAMPLE"
AWS_SECRET = "wJalrXUtnFEMI/" + "K7MDENG/bPxRfiCYEXAMPLEKEY"
GITHUB = "ghp_" + "a1B2" * 9
JWT = ".".join(["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"])
AZURE = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
PEM = f"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA{'x' * 40}\n-----END RSA PRIVATE KEY-----"

KNOWN_FORMS = {
    "artifactory key": "AKCp8" + "budTFpbypBqQbGJPz3",
    "artifactory password": "AP6" + "xY2bJ9vQk3LmN4pQ",
    "aws id": AWS_ID,
    "anthropic": "sk-ant-api03-" + "a1b2C3" * 8,
    "databricks": "dapi" + "0a1b2c3d" * 4,
    "digitalocean": "dop_v1_" + "0a1b2c3d" * 8,
    "discord": "MTk4NjIyNDgzNDcxOTI1MjQ4." + "Cl2FMQ." + "ZnCjm1XVW7vRze4b7Cq4se7kKWs",
    "github": GITHUB,
    "github fine-grained": "github_pat_" + "1A2b" * 20,
    "gitlab": "glpat-" + "x1Y2z3W4v5U6t7S8r9Q0",
    "google": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "hugging face": "hf_" + "aB3d" * 8 + "eF",
    "jwt": JWT,
    "mailchimp": "0a1b2c3d" * 4 + "-us12",
    "npm": "npm_" + "a1B2" * 9,
    "openai": "sk-proj-" + "a1b2C3d4E5" * 4,
    "pypi": "pypi-AgEIcHlwaS5vcmc" + "a1B2" * 20,
    "sendgrid": "SG." + "a1B2c3D4e5F6g7H8i9J0k1" + "." + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V",
    "slack": "xoxb-" + "123456789012-" + "a1B2c3D4e5F6",
    "slack webhook": "https://hooks.slack.com/services/" + "T0A1B2C3D/B0A1B2C3D/a1B2c3D4e5F6g7H8",
    "square": "sq0csp-" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V",
    "stripe": "sk_live_" + "a1B2c3D4e5F6g7H8i9J0k1L2",
    "telegram": "110201543:" + "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaww",
    "twilio": "SK" + "0a1b2c3d" * 4,
    "vault": "hvs." + "CAESIJ1a2B3c4D5e6F7g8H9i0",
}
CONTEXTS = (
    "{}",
    "the key {} is revoked",
    "x={},y",
    "({})",
    '"{}"',
    "a\\n{}\\nb",
    "url?a=%3D{}&b",
    "/{}/",
    "id:{}",
)


class TestKnownForms:
    @pytest.mark.parametrize("context", CONTEXTS)
    @pytest.mark.parametrize("secret", KNOWN_FORMS.values(), ids=KNOWN_FORMS.keys())
    def test_are_gone_in_any_context(self, secret: str, context: str) -> None:
        redacted = redact(context.format(secret))
        assert secret not in redacted
        assert secret[8:] not in redacted
        assert MARK in redacted

    def test_one_right_after_another_leaves_nothing(self) -> None:
        assert redact(f"{AWS_ID}{GITHUB} ok") == f"{MARK} ok"

    def test_a_bot_token_in_an_address(self) -> None:
        token = KNOWN_FORMS["telegram"]
        redacted = redact(f"POST https://api.telegram.org/bot{token}/sendMessage 401")
        assert redacted == f"POST https://api.telegram.org/bot{MARK}/sendMessage 401"

    @pytest.mark.parametrize(
        "text",
        [
            PEM,
            PEM.replace("RSA ", ""),
            PEM.replace("RSA", "OPENSSH"),
            PEM.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
            PEM.replace("\n", "\\n"),
        ],
    )
    def test_a_private_key_goes_as_a_whole(self, text: str) -> None:
        assert redact(f"cannot read {text} here") == f"cannot read {MARK} here"

    def test_a_private_key_in_json(self) -> None:
        escaped = PEM.replace("\n", "\\n")
        assert (
            redact(f'{{"private_key": "{escaped}\\n", "id": 1}}') == f'{{"private_key": "{MARK}", "id": 1}}'
        )

    def test_a_private_key_that_breaks_off_takes_the_rest(self) -> None:
        assert redact("before -----BEGIN PRIVATE KEY-----\nMIIEv") == f"before {MARK}"


class TestNamedSecrets:
    @pytest.mark.parametrize(
        ("text", "redacted"),
        [
            ("password=hunter2", "password=[redacted]"),
            ("password: hunter", "password: [redacted]"),
            ("PGPASSWORD=s3 psql", "PGPASSWORD=[redacted] psql"),
            ("DB_PASS=abc", "DB_PASS=[redacted]"),
            ("passwd = 'two words'", "passwd = '[redacted]'"),
            ("connect(host=h, password=s3, user=u)", "connect(host=h, password=[redacted], user=u)"),
            ("api-key: 12ab34cd", "api-key: [redacted]"),
            ("X-Api-Key: 12ab34cd", "X-Api-Key: [redacted]"),
            ("client_secret=abc", "client_secret=[redacted]"),
            ("?access_token=abc&x=1", "?access_token=[redacted]&x=1"),
            ("token: abc123def", "token: [redacted]"),
            ("using token 3f9a1c2b4d5e6f708192 now", "using token [redacted] now"),
            ('{"password": "x"}', '{"password": "[redacted]"}'),
            ('{"password":"a\\"b","x":1}', '{"password":"[redacted]","x":1}'),
            ("{'token': 'abcd'}", "{'token': '[redacted]'}"),
            (r"{\"password\": \"xyz\", \"a\":1}", r"{\"password\": \"[redacted]\", \"a\":1}"),
            ('password="breaks off', 'password="[redacted] off'),
            ("'password' => 'x1'", "'password' => '[redacted]'"),
            ('config["password"] = "x1"', 'config["password"] = "[redacted]"'),
            ("<password>x1</password>", "<password>[redacted]</password>"),
            ("mysql --password foo -h db", "mysql --password [redacted] -h db"),
            ("mysql --password=foo -h db", "mysql --password=[redacted] -h db"),
            ("run --db-password 'a b' x", "run --db-password '[redacted]' x"),
            ("run --token abc --password --verbose", "run --token [redacted] --password --verbose"),
            ("ALTER USER a IDENTIFIED BY 'zz'", "ALTER USER a IDENTIFIED BY '[redacted]'"),
            ("CREATE ROLE a PASSWORD 'zz'", "CREATE ROLE a PASSWORD '[redacted]'"),
            (f"aws_secret_access_key = {AWS_SECRET}", "aws_secret_access_key = [redacted]"),
            (f"AWS_SECRET_ACCESS_KEY={AWS_SECRET}", "AWS_SECRET_ACCESS_KEY=[redacted]"),
            (
                f"AccountName=x;AccountKey={AZURE};EndpointSuffix=core",
                "AccountName=x;AccountKey=[redacted];EndpointSuffix=core",
            ),
            (
                "SharedAccessKeyName=root;SharedAccessKey=a1b2c3=",
                "SharedAccessKeyName=root;SharedAccessKey=[redacted]",
            ),
            ("?sv=1&sig=abcDEF123%2Fabcdefghijkl%3D&se=2", "?sv=1&sig=[redacted]&se=2"),
            ("&X-Amz-Signature=" + "a1" * 32, "&X-Amz-Signature=[redacted]"),
            ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [redacted]"),
            ("authorization: bearer abc", "authorization: bearer [redacted]"),
            ("-H 'Authorization: token abc' http://x", "-H 'Authorization: token [redacted]' http://x"),
            ("{'Authorization': 'Bearer zzz'}", "{'Authorization': 'Bearer [redacted]'}"),
            ("sent Basic dXNlcjpwYXNz", "sent Basic [redacted]"),
            ("Cookie: session=abc; theme=dark", "Cookie: [redacted]"),
            ("Set-Cookie: sid=zzz; Path=/", "Set-Cookie: [redacted]"),
            ("İ password=hunter2", "İ password=[redacted]"),
        ],
    )
    def test_are_gone_and_the_rest_stays(self, text: str, redacted: str) -> None:
        assert redact(text) == redacted

    @pytest.mark.parametrize(
        ("text", "redacted"),
        [
            ("postgres://app:s3cret@db/orders", "postgres://app:[redacted]@db/orders"),
            ("postgres://app:p@ss@db/orders", "postgres://app:[redacted]@db/orders"),
            ("redis://:pa55@cache:6379/0", "redis://:[redacted]@cache:6379/0"),
            ("https://x1234567890abcdefghij@host/x", "https://[redacted]@host/x"),
            ("to ssh://git@host/x and http://h:80/a@b", "to ssh://git@host/x and http://h:80/a@b"),
        ],
    )
    def test_in_addresses(self, text: str, redacted: str) -> None:
        assert redact(text) == redacted


class TestReadable:
    @pytest.mark.parametrize(
        "text",
        [
            "token expired",
            "Authorization: Bearer token expired",
            "Authorization header missing",
            "authorization: permission denied for user",
            "basic authentication/authorization-v2 failed",
            "bearer of bad news arrived at 10:00",
            "KeyError: 'token'",
            "KeyError: 'api_key'",
            "primary key: orders_pkey",
            "Key (id)=(42) already exists.",
            'duplicate key value violates unique constraint "users_token_key"',
            "password authentication failed for user app",
            'FATAL: password authentication failed for user "app"',
            "Access denied for user 'root'@'localhost' (using password: YES)",
            "password: required",
            "password=None token: null secret=",
            "invalid token: unexpected end of JSON",
            "SyntaxError: Unexpected token: export",
            'secret "db-credentials" not found',
            "secret: kube-system/registry-creds not found",
            "could not read credentials: no such file",
            'token = os.environ["TOKEN"]',
            "password = getpass.getpass()",
            "token=${TOKEN} and password=$DB_PASSWORD and secret=<your secret>",
            "max_tokens=4096, total_tokens: 12345, token_count=7",
            "tokenizer=bert-base-uncased",
            "secretName: db-creds",
            "password_file=/run/secrets/db",
            "jwt.exceptions.TokenExpiredError: Signature has expired",
            "cookie: too large",
            "HTTP 503 from https://registry.example.com/v2/library/python/manifests/3.11",
            "No module named 'torch_geometric.transforms.add_positional_encoding2'",
            "request 7f3c2a1b-aaaa-4bbb-8ccc-1234567890ab at 2026-11-20T10:11:12.123Z timed out",
            "image sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c0f08a3ab12 not found",
            "at org.apache.spark.sql.execution.aggregate.HashAggregateExec2.doExecute(Hash.scala:42)",
            "APACHEHADOOP DEPLOYMENT AP-SOUTH-1 APPLICATION_STARTUP_FAILED",
        ],
    )
    def test_what_tells_of_no_secret_stays(self, text: str) -> None:
        assert redact(text) == text

    def test_a_line_of_a_program_may_hold_a_password_that_stays(self) -> None:
        # The price of keeping `token = read_token(path)` in tracebacks readable.
        assert redact("password = hunter(2") == "password = hunter(2"


FRAGMENTS = st.sampled_from(
    [
        *("password", "token", "secret", "api_key", "Authorization", "cookie", "bearer", "basic", "sig="),
        *("=", ":", " ", "\t", '"', "'", "\\", "\n", "--", "-", "_", "://", "u:p@", "@", "/", "&", ";", ","),
        *("a", "x1y2z3w4v5u6t7", "abcdefghijklmnopqrst1234", "none", "required", "dXNlcjpwYXNz", "İ", "é"),
        *("[", "]", "(", ")", "<", ">", "${", "}", "%3D", MARK, GITHUB, AWS_ID, JWT),
        *("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"),
    ]
)
TEXTS = st.text() | st.lists(FRAGMENTS, max_size=12).map("".join)


class TestAnyText:
    @patient
    @given(text=TEXTS)
    @example(text="://u:token=a/b,c@h")
    @example(text="\ud800 password=\udfff")
    def test_never_raises(self, text: str) -> None:
        assert isinstance(redact(text), str)

    @patient
    @given(text=st.text())
    def test_twice_is_once(self, text: str) -> None:
        once = redact(text)
        assert redact(once) == once

    @pytest.mark.parametrize("context", CONTEXTS)
    @pytest.mark.parametrize("secret", KNOWN_FORMS.values(), ids=KNOWN_FORMS.keys())
    def test_twice_is_once_for_known_forms(self, secret: str, context: str) -> None:
        once = redact(context.format(secret))
        assert redact(once) == once

    @patient
    @given(before=TEXTS, value=st.from_regex(r"[A-Za-z0-9]{8,30}", fullmatch=True))
    def test_a_password_is_gone_whatever_stands_before(self, before: str, value: str) -> None:
        secret = f"zQ7{value}"
        assert secret not in redact(f"{before} password={secret}")


class TestLinear:
    # Beginnings that a careless pattern would read to the end of the text, again and again.
    @pytest.mark.parametrize(
        "piece",
        [
            *("a", "aB3", "0", "-", "\\", "\t", "é", "://", "://a:", "://u:p@", "u:p@://", "-----BEGIN "),
            *(
                "-----BEGIN PRIVATE KEY-----",
                "-----BEGIN PRIVATE KEY-----\n-----END ",
                "token",
                "token ",
                "token=",
            ),
            *("token:", "token: ", "token = a", "password='", 'password="', 'password=\\"', 'password="\\'),
            *("password>", "password><", "password=[redacted]", "password=${", "authorization:", "bearer a1"),
            *("authorization: basic ", "cookie: a=", "cookie: a", "--", "--token ", "--a-token", "secret_"),
            *(
                "secret_access_key_",
                "token_count=",
                "basic ",
                "&sig=",
                "sig=",
                "eyJ",
                "-eyJ",
                "eyJaaaaaaaaaaa.",
            ),
            *(
                "sk-1",
                "-sk-1",
                "xoxb-1-",
                "AP",
                "APA",
                "AKC",
                "00000000:",
                "glagent-",
                "pypi-AgEIcHlwaS5vcmc",
            ),
            *(
                "https://hooks.slack.com/services/T1/B",
                "///:_authToken=",
                "%3D",
                "[redacted]",
                '{"password":',
            ),
        ],
    )
    def test_sixteen_times_the_text_is_not_much_more_than_sixteen_times_the_work(self, piece: str) -> None:
        # Quadratic would be 256 times. The millisecond is the noise of a shared machine.
        assert work(piece, 256 * 1024) < 64 * (work(piece, 16 * 1024) + 0.001)

    @pytest.mark.parametrize("piece", ["aB3", "token=", "eyJ", "://u:p@"])
    def test_a_mebibyte_is_no_more_than_that_either(self, piece: str) -> None:
        assert work(piece, 1024 * 1024) < 64 * (work(piece, 64 * 1024) + 0.001)


def work(piece: str, size: int) -> float:
    """Seconds of processor time, the best of two runs, for `size` characters made of `piece`."""
    text = "token password://@ -----BEGIN AP " + piece * (size // len(piece))
    took = []
    for _ in range(2):
        began = time.process_time()
        redact(text)
        took.append(time.process_time() - began)
    return min(took)


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


class TestRedactValue:
    def test_goes_through_lists_and_mappings(self) -> None:
        value = {"a": [{"b": "password=hunter2"}], "n": 1, "ok": True, "none": None, "f": 0.5}
        assert redact_value(value) == value | {"a": [{"b": "password=[redacted]"}]}

    @pytest.mark.parametrize(
        "name", ["password", "DB_PASSWORD", "apiKey", "Authorization", "Cookie", "x-auth-token"]
    )
    @pytest.mark.parametrize("value", ["plain", 7, 0.5, ["plain"], {"value": "plain", "n": 1}])
    def test_under_a_secret_name_everything_goes(self, name: str, value: Any) -> None:
        def leaves(item: Any) -> list[Any]:
            if isinstance(item, Mapping):
                return [leaf for inner in item.values() for leaf in leaves(inner)]
            return [leaf for inner in item for leaf in leaves(inner)] if isinstance(item, list) else [item]

        assert set(leaves(redact_value({name: value}))) == {MARK}

    @pytest.mark.parametrize(
        "name", ["total_tokens", "token_count", "secretName", "password_file", "keyboard"]
    )
    def test_a_name_that_only_speaks_of_one_keeps_its_value(self, name: str) -> None:
        assert redact_value({name: 7}) == {name: 7}

    def test_nothing_and_truth_are_no_secrets(self) -> None:
        value = {"password": None, "token": True, "secret": ""}
        assert redact_value(value) == value

    def test_names_are_redacted_too(self) -> None:
        assert redact_value({GITHUB: 1}) == {MARK: 1}

    def test_what_lies_too_deep_is_cut_off(self) -> None:
        assert redact_value(nested(49)) == nested(49)
        assert "[too deep]" in str(redact_value(nested(1_000)))

    @pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**400])
    def test_a_number_that_no_database_reads_back_becomes_text(self, number: int) -> None:
        assert redact_value({"n": number}) == {"n": str(number)}

    @patient
    @given(
        value=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
            max_leaves=10,
        )
    )
    def test_never_raises(self, value: Any) -> None:
        redact_value(value)
