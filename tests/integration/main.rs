//! What the repository does, one file an operation.

mod environment;

mod cli_backup;
mod cli_backup_command;
mod cli_backup_options;
mod cli_cat;
mod cli_check;
mod cli_crash;
mod cli_help;
mod cli_home;
mod cli_key;
mod cli_listing;
mod cli_password;
mod cli_place;
mod cli_readme;
mod cli_restore;
mod cli_signals;
mod cli_stats;
mod fault_damage;
mod fault_rollback;
mod fault_shared;
mod format_delta;
mod format_document;
mod format_example_values;
mod format_examples;
mod format_fixture;
mod format_keys;
mod format_packs;
mod format_place;
mod format_records;
mod format_roles;
mod format_trees;
mod format_values;
mod format_vectors;
mod fuzz_replay;
