"""A plan that two persons must approve, on the pages."""

from app.people.person import Role
from app.remediation.tables import ApprovalRow
from tests.web.conftest import Enter, World

YES = {"answer": "approved"}


def test_the_first_yes_is_shown_and_the_second_persons_lets_it_run(world: World, enter: Enter) -> None:
    incident_id, approval_id = world.asked()
    with world.database.writing() as session:
        row = session.get(ApprovalRow, approval_id)
        assert row is not None
        row.people = 2
    page, action = f"/incidents/{incident_id}", f"/incidents/{incident_id}/answers/{approval_id}"
    first, second = enter(Role.APPROVER), enter(Role.APPROVER)
    seen = first.get(page)
    assert "Two different persons must say yes. It waits for two persons" in seen.text
    assert "59 more clean outcomes until it may run alone" in seen.text
    seen = first.submit(seen, action, YES, reason="looks right")
    assert "You approved. It waits for one more person, because approver-1 has said yes." in seen.text
    assert "approver-1 said yes" in seen.text
    assert "looks right" in seen.text
    assert world.answered == []
    seen = first.submit(seen, action, YES)
    assert "pprover-1 has said yes already; this plan needs 2 different persons" in seen.text
    assert "waits for one more person, because approver-1 has said yes" in second.get("/").text
    seen = second.submit(second.get(page), action, YES)
    assert "You approved. The plan is made once more" in seen.text
    assert world.answered == [approval_id]
