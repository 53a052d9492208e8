"""Pages that wait for nothing, so that tests of other things need not."""

from alerts.config import Pacing

AT_ONCE = Pacing(group_wait_s=0.0, group_wait_critical_s=0.0, group_interval_s=0.0, storm=0)
