//! The `holomesh` command.

fn main() -> std::process::ExitCode {
    holomesh::cli::main()
}
