//! `parlour migrate [up|status]`: the database's structure, by the role that may change it (MIGRATE_DATABASE_URL).
//!
//! Forward only. The roles must exist before (migrations/roles.sql, once, by a superuser).

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::output::Outcome;
use crate::config::database::MigrateSettings;
use crate::store::migrate::{Step, StepState, migrate, status};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = false)]
pub struct MigrateArgs {
    #[command(subcommand)]
    action: Option<MigrateAction>,
    #[command(flatten)]
    settings: MigrateSettings,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum MigrateAction {
    /// Apply what is missing (the default)
    Up,
    /// Show what is applied and what is missing
    Status,
}

/// Applies, or shows.
pub async fn run(args: MigrateArgs) -> Result<Outcome, CliError> {
    let url = args.settings.check()?;
    let before = status(url.expose_secret()).await?;
    if let MigrateAction::Status = args.action.unwrap_or(MigrateAction::Up) {
        return Ok(table(&before));
    }
    migrate(url.expose_secret()).await?;
    let applied: Vec<i64> =
        before.iter().filter(|step| step.state == StepState::Pending).map(|step| step.version).collect();
    let text = match applied.len() {
        0 => "The database is up to date.".to_owned(),
        count => format!("{count} migrations applied; the database is up to date."),
    };
    Ok(Outcome { text, json: json!({"applied": applied}) })
}

fn table(steps: &[Step]) -> Outcome {
    let word = |state| match state {
        StepState::Pending => "pending",
        StepState::Applied => "applied",
        StepState::Different => "different",
    };
    let line = |step: &Step| format!("{:04} {:<10} {}", step.version, word(step.state), step.description);
    let row =
        |step: &Step| json!({"version": step.version, "description": step.description, "state": word(step.state)});
    Outcome {
        text: steps.iter().map(line).collect::<Vec<_>>().join("\n"),
        json: json!({"migrations": steps.iter().map(row).collect::<Vec<_>>()}),
    }
}
