//! A component's types as WIT text.

use wit_component::WitPrinter;
use wit_parser::{PackageId, Resolve, WorldId};

/// The world of a component and the packages that are its own, with their doc comments. What comes from the host (`wasi:*`,
/// `granary:*`) is only named: everybody knows it.
pub(crate) fn render(
    resolve: &Resolve,
    world: WorldId,
    own: &[PackageId],
) -> Result<String, String> {
    let package = resolve.worlds[world]
        .package
        .ok_or("the decoded world has no package")?;
    let mut printer = WitPrinter::default();
    printer
        .print(resolve, package, own)
        .map_err(|error| format!("{error:#}"))?;
    let mut text = printer.output.to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
