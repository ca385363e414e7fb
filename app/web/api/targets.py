"""Targets: what may be acted on, how it is reached, what is allowed there."""

from typing import Annotated, Any

from fastapi import APIRouter, Body

from app.foundation.errors import Invalid, NotFound
from app.foundation.logging import log
from app.remediation import register
from app.systems.targets import RegisteredTarget
from app.web.deps import Admin, Parts, PartsDep, Reader

router = APIRouter(tags=["targets"])


@router.get("/targets", summary="List targets")
def list_(parts: PartsDep, person: Reader) -> dict[str, Any]:
    """What is registered and what is allowed there; how it is reached is not shown."""
    in_file = parts.targets.of_file()
    return {
        "items": [
            {
                "key": key,
                "owner": target.owner,
                "environment": target.environment,
                "group": target.group,
                "reached_by": target.connection.type,
                "allow": target.allow,
                "kept_in": "file" if key in in_file else "database",
            }
            for key, target in sorted(parts.targets.all().items())
        ],
        "problem": parts.targets.problem.says if parts.targets.problem else None,
    }


@router.get("/targets/{key:path}", summary="Read a target")
def read(key: str, parts: PartsDep, person: Admin) -> dict[str, Any]:
    """As `targets.yaml` would have it; what may be a secret in it is left out."""
    target = parts.targets.find(key)
    if target is None:
        raise NotFound(f"there is no target {key}")
    return _told(parts, target)


@router.put("/targets/{key:path}", summary="Register a target")
def put(key: str, body: Annotated[dict[str, Any], Body()], parts: PartsDep, person: Admin) -> dict[str, Any]:
    """The body is an entry of `targets.yaml` with this key, `system/kind/name@environment`. Secrets are named by
    `{file: /path}` or `{env: NAME}` and never given; a target that stands in the file is changed there alone."""
    target = register.check(body, parts.strategies, parts.programs)
    if target.key != key:
        raise Invalid("the target is not valid", places=(("(address)", f"the body describes {target.key}"),))
    register.keep(parts.database, parts.targets, target, body, person.name, parts.clock.now())
    log(__name__).info("target.registered", target=key, actor=person.name)
    return _told(parts, target)


@router.delete("/targets/{key:path}", summary="Remove a target", status_code=204)
def delete(key: str, parts: PartsDep, person: Admin) -> None:
    """Nothing acts on it from now on. While a repair of it is under way it can be neither removed nor changed."""
    register.remove(parts.database, parts.targets, key)
    log(__name__).info("target.removed", target=key, actor=person.name)


def _told(parts: Parts, target: RegisteredTarget) -> dict[str, Any]:
    kept_in = "file" if target.key in parts.targets.of_file() else "database"
    return {"key": target.key, "kept_in": kept_in, "target": register.shown(target)}
