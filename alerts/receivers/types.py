"""Every type of receiver that there is."""

from alerts.receivers.alertmanager import Alertmanager
from alerts.receivers.apprise import Apprise
from alerts.receivers.command import Command
from alerts.receivers.console import Console
from alerts.receivers.file import File
from alerts.receivers.jsm import Jsm
from alerts.receivers.kafka import Kafka
from alerts.receivers.mail import Mail
from alerts.receivers.pagerduty import PagerDuty
from alerts.receivers.slack import Slack
from alerts.receivers.syslog import Syslog
from alerts.receivers.teams import Teams
from alerts.receivers.webhook import Webhook

AnyReceiver = (
    Webhook
    | PagerDuty
    | Console
    | Command
    | Slack
    | Mail
    | Alertmanager
    | Jsm
    | Teams
    | Syslog
    | Apprise
    | File
    | Kafka
)
