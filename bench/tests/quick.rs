//! The benchmarks themselves run: short, so that they do not rot.

use std::process::Command;

#[test]
fn every_cell_measures_something_in_quick_mode() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg("--quick")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let out = String::from_utf8(output.stdout).unwrap();
    let json = &out[out.find("\n{").expect("JSON follows the table")..];
    let document: serde_json::Value = serde_json::from_str(json).unwrap();
    let findings = document["findings"].as_array().unwrap();
    for cell in ["rates", "inside", "typed", "cold", "start", "neighbour"] {
        let of_cell = findings.iter().filter(|finding| finding["cell"] == cell);
        assert!(
            of_cell.clone().any(|finding| finding["kept"].is_boolean()),
            "{cell} holds no promise"
        );
        assert!(
            of_cell
                .clone()
                .all(|finding| finding["value"].as_f64().is_some_and(f64::is_finite)),
            "{cell}: {out}"
        );
    }
}
