"""Every type of receiver that there is."""

from alerts.receivers.command import Command
from alerts.receivers.console import Console
from alerts.receivers.pagerduty import PagerDuty
from alerts.receivers.webhook import Webhook

AnyReceiver = Webhook | PagerDuty | Console | Command
