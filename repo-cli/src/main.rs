//! The program `larder`.
fn main() -> std::process::ExitCode {
    repo_cli::main_from(std::env::args_os())
}
