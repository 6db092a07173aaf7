//! The project's own commands: `cargo xtask test`, and more to come.
fn main() {}
