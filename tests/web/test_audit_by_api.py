"""The audit trail by API: for admins, in pages, with the head to note."""

from starlette.testclient import TestClient

from app.people.person import Role
from tests.web.conftest import World


def test_an_admin_reads_it_in_pages(world: World) -> None:
    client = TestClient(world.app)
    admin = {"Authorization": f"Bearer {world.key(Role.ADMIN)}"}
    viewer = {"Authorization": f"Bearer {world.key(Role.VIEWER)}"}
    assert client.get("/api/v1/audit", headers=viewer).status_code == 403
    first = client.get("/api/v1/audit?limit=1", headers=admin).json()
    (entry,) = first["entries"]
    assert (entry["seq"], entry["kind"], entry["row"]["role"]) == (1, "api_key", "admin")
    rest = client.get("/api/v1/audit?after=1", headers=admin).json()
    assert [each["row"]["name"] for each in rest["entries"]] == ["viewer"]
    assert first["head"] == rest["head"] == f"2:{rest['entries'][-1]['hash']}"
