"""The symptom: what scorers read of an incident."""

from sqlmodel import Session

from app.diagnosis.diagnosis import Symptom
from app.incidents import store as incidents
from app.incidents.incident import Incident


def symptom_of(session: Session, incident_id: str) -> Symptom:
    """What scorers read of an incident."""
    incident = incidents.get(session, incident_id)
    return Symptom(
        incident_id=incident_id,
        message=f"{incident.title}\n{incident.message}" if _adds(incident) else incident.message,
        log=incidents.log_of(session, incident_id),
        system=incident.target.system,
        kind=incident.target.kind,
    )


def _adds(incident: Incident) -> bool:
    """Whether the title says anything that the message does not."""
    return bool(incident.title) and incident.title[:60] not in incident.message
