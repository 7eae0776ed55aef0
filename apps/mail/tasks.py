"""The mails, each sent by a job.

Who asks for a link by an address is answered before anything is looked up: these tasks find the
user, so that the answer and its time tell nobody whether the account exists.
"""

from apps.accounts.models import Session, User
from apps.jobs.steps import current_job
from apps.jobs.tasks import URGENT, job
from apps.mail import letters
from apps.mail.links import Purpose, link_issue, may_issue, state_of
from apps.mail.sending import send

mail_job = job(priority=URGENT, attempts=8, time_limit=45, atomic=False)


def _active(**found: str) -> User | None:
    return User.objects.filter(status=User.Status.ACTIVE, **found).first()


def _may_issue(user: User, purpose: str) -> bool:
    return may_issue(current_job().id, user=user, purpose=purpose)


def _token(user: User, purpose: str, email: str, state: str) -> str:
    return link_issue(current_job().id, user=user, purpose=purpose, email=email, state=state)


@mail_job
def verification_mail(email: str) -> None:
    """Ask whose address it is, unless that is known."""
    user = _active(email=email)
    if user and not user.email_verified and _may_issue(user, Purpose.VERIFY):
        token = _token(user, Purpose.VERIFY, email, state_of(user, Purpose.VERIFY))
        send(letters.verification(token), email)


@mail_job
def password_reset_mail(email: str) -> None:
    """Let the user with this address, if there is one, choose a new password."""
    user = _active(email=email)
    if user and _may_issue(user, Purpose.RESET):
        token = _token(user, Purpose.RESET, email, state_of(user, Purpose.RESET))
        send(letters.reset(token), email)


@mail_job
def password_changed_mail(user_id: str, *, by_link: bool = True) -> None:
    """Tell a user that they have another password: by a link that was mailed, or by the old one."""
    if user := _active(pk=user_id):
        send(letters.password_reset() if by_link else letters.password_changed(), user.email)


@mail_job
def email_change_mail(user_id: str, new_email: str, state: str) -> None:
    """Ask whose address it is that a user wants. `state` is that of the request, so that a password
    change that came after it makes the link void."""
    user = _active(pk=user_id)
    if user and state_of(user, Purpose.CHANGE) == state and _may_issue(user, Purpose.CHANGE):
        send(letters.change(_token(user, Purpose.CHANGE, new_email, state)), new_email)


@mail_job
def email_changed_mail(user_id: str, old_email: str) -> None:
    """Tell a user at their old address that they have another one, and let them undo that."""
    user = User.objects.filter(pk=user_id).first()
    if user:
        token = _token(user, Purpose.UNDO, old_email, state_of(user, Purpose.UNDO))
        send(letters.changed(token), old_email)


@mail_job
def new_device_mail(user_id: str, session_id: str) -> None:
    """Tell a user of a login on a new device."""
    session = Session.objects.select_related("user").filter(pk=session_id).first()
    if session:
        letter = letters.new_device(
            user_agent=session.device,
            address=session.address,
            at=f"{session.created_at:%Y-%m-%d %H:%M} UTC",
        )
        send(letter, session.user.email)
