"""Jobs: progress while they run, the result when they end, and detection of a job that was cut off."""

import pytest
from house import House

from tests.unit.store.raw import DATA, peek
from volens.consent import InputError
from volens.store.programs import JobKind, JobState

WHO = "0123456789abcdef"


def test_a_job_reports_progress_and_ends(house: House) -> None:
    jobs = house.site.programs.jobs
    job = jobs.begin(JobKind.SWEEP, WHO)
    assert (job.state, job.done, job.total, job.outcome) == (JobState.RUNNING, 0, 0, None)
    jobs.advance(job.job_id, 3, 10)
    assert (jobs.get(job.job_id).done, jobs.get(job.job_id).total) == (3, 10)
    jobs.end(job.job_id, JobState.DONE, {"erased": 10})
    assert (jobs.get(job.job_id).state, jobs.get(job.job_id).outcome) == (JobState.DONE, {"erased": 10})


def test_an_ended_job_does_not_change(house: House) -> None:
    jobs = house.site.programs.jobs
    job = jobs.begin(JobKind.SWEEP, WHO)
    jobs.end(job.job_id, JobState.FAILED, {"kind": "unavailable", "detail": "no"})
    jobs.advance(job.job_id, 1, 1)
    jobs.end(job.job_id, JobState.DONE, {})
    assert (jobs.get(job.job_id).state, jobs.get(job.job_id).done) == (JobState.FAILED, 0)


def test_a_job_without_a_report_counts_as_cut_off(house: House) -> None:
    job = house.site.programs.jobs.begin(JobKind.SWEEP, WHO)
    house.clock.move(seconds=61)
    house.reopen()
    assert house.site.programs.jobs.get(job.job_id).state is JobState.CUT_OFF


def test_jobs_are_listed_newest_first_and_deleted_after_a_month(house: House) -> None:
    jobs = house.site.programs.jobs
    ids = [jobs.begin(JobKind.VERIFY_LOG, WHO).job_id for _ in range(3)]
    first = jobs.list(2)
    assert [one.job_id for one in first] == ids[:0:-1]
    assert [one.job_id for one in jobs.list(2, first[-1].seq)] == ids[:1]
    house.clock.move(days=31)
    last = jobs.begin(JobKind.SWEEP, WHO)
    assert [one.job_id for one in jobs.list(10)] == [last.job_id]
    assert len(peek(house.site.home / DATA, "SELECT 1 FROM job")) == 1


def test_an_unknown_job_is_refused(house: House) -> None:
    with pytest.raises(InputError, match="no job of this id"):
        house.site.programs.jobs.get("0" * 32)
