"""What accounts add to the project."""

from apps.accounts.demo import demo
from apps.accounts.erasing import erase_again
from apps.accounts.first_administrator import first_administrator
from apps.accounts.first_login import prepare_first_login
from apps.accounts.known_sessions import UsersOfTokens
from apps.accounts.models import Block, Follow, User
from apps.accounts.passwords import start_hashing
from apps.accounts.personal_data import PERSONAL_DATA
from apps.accounts.pruning import accounts_prune
from apps.accounts.selectors import count_by_status, count_sessions
from apps.accounts.sessions import sessions_end_restored
from apps.accounts.views import AuthViewSet, UserViewSet
from apps.core.features import Feature

FEATURE = Feature(
    routes={"auth": AuthViewSet, "users": UserViewSet},
    limits={
        "register": 60,
        "login_address": 60,  # from one address
        "login": 10,  # to one account from one address
        "login_account": 100,  # to one account from anywhere: beyond it responses are delayed
        "password": 10,
        "ws_ticket": 60,
        "search_users": 60,
        "follow": 60,
        "block": 60,
    },
    prunes={"sessions and tickets": accounts_prune},
    after_restore={
        "sessions are ended": sessions_end_restored,
        "users who were erased are erased again": erase_again,
    },
    counts={
        "users": count_by_status,
        "sessions": count_sessions,
        "follows": Follow.objects.count,
        "blocks": Block.objects.count,
    },
    personal_data=PERSONAL_DATA,
    at_start=[start_hashing, prepare_first_login],
    token_users=UsersOfTokens,
    enums={"UserRole": User.Role, "UserStatus": User.Status},
    start_notice=first_administrator,
    notification_categories={
        "follows": "New followers",
        "moderation": "What moderators decide about oneself",
    },
    demo=demo,
)
