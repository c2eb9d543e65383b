//! The program, once more: as a binary of this package, so that cargo tells the tests where it is.
fn main() -> std::process::ExitCode {
    repo_cli::main_from(std::env::args_os())
}
