"""The ways of repairing, one file each; they do not know each other."""

from app.remediation.strategies.escalate_to_human import EscalateToHuman
from app.remediation.strategies.open_fix_pull_request import OpenFixPullRequest
from app.remediation.strategies.recover_service import RecoverService
from app.remediation.strategies.reduce_batch_size import ReduceBatchSize
from app.remediation.strategies.refresh_credentials_and_retry import RefreshCredentialsAndRetry
from app.remediation.strategies.restart_with_elevated_permissions import RestartWithElevatedPermissions
from app.remediation.strategies.retry_with_exponential_backoff import RetryWithExponentialBackoff
from app.remediation.strategies.rollback_deployment import RollbackDeployment
from app.remediation.strategies.rollback_model import RollbackModel
from app.remediation.strategies.run_data_validation_and_cleanup import RunDataValidationAndCleanup
from app.remediation.strategies.run_deduplication_script import RunDeduplicationScript
from app.remediation.strategies.update_configuration_and_retry import UpdateConfigurationAndRetry
from app.remediation.strategies.update_schema_and_retry import UpdateSchemaAndRetry
from app.remediation.strategy import Strategy

STRATEGIES: tuple[type[Strategy], ...] = (
    RetryWithExponentialBackoff,
    RecoverService,
    RunDataValidationAndCleanup,
    RunDeduplicationScript,
    UpdateSchemaAndRetry,
    RollbackModel,
    RefreshCredentialsAndRetry,
    RestartWithElevatedPermissions,
    ReduceBatchSize,
    UpdateConfigurationAndRetry,
    OpenFixPullRequest,
    RollbackDeployment,
    EscalateToHuman,
)
