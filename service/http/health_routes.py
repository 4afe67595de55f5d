"""Is it alive, and is it ready. No numbers about people."""

from typing import Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from volens.service.http.app_state import RoomsOf

router: Final = APIRouter(tags=["health"])


class Health(BaseModel):
    """`ok`, or what is not."""

    status: str = Field(examples=["ok"])
    missing: list[str] = Field(default_factory=list)


@router.get("/healthz", summary="Is the process alive")
async def healthz() -> Health:
    """Answer."""
    return Health(status="ok")


@router.get("/readyz", summary="May doors be sent here", responses={503: {"model": Health}})
async def readyz(app_state: RoomsOf, response: Response) -> Health:
    """Say what keeps the site from doing what it promises: erasures not finished, clocks that nobody swept."""

    def missing() -> list[str]:
        status = app_state.site.status()
        if app_state.leaving.is_set():
            return ["the service is ending; send nobody here"]
        found = ["an erasure is not finished; run 'volens sweep'"] * bool(status.unfinished_erasures)
        found += ["an order to erase is not finished; run 'volens erase resume'"] * bool(status.unfinished_orders)
        found += ["this process does not follow the store; see whether it is locked"] * app_state.follower.is_late()
        late = app_state.site.clocks.quick_alarm()
        return found + ([] if late is None else ["something outlived its time; run 'volens sweep'"])

    found = await app_state.desk.do(missing)
    if found:
        response.status_code = 503
    return Health(status="not ready" if found else "ok", missing=found)
