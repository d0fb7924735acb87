//! See [`fault_module::command`].

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    fault_module::command::run(&arguments)
}
