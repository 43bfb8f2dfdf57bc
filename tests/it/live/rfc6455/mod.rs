//! RFC 6455 from outside: raw bytes to a real socket, table by table, in the order of the Autobahn test list, whose numbers the
//! cases carry. Where Autobahn waits for an echo, a command is sent and its reply waited for.
//!
//! Sections 12 and 13 (compression) have nothing to test: no extension is ever agreed to, which `limits` shows. A case never
//! stops a run: what differs is collected and told at the end. To add a case, find its section's file.

mod close;
mod control;
mod fragments;
mod framing;
mod limits;
mod script;
mod utf8;

use crate::live::rfc6455::script::{Case, run};
use crate::live::stage::Node;

/// Runs the cases of a section, each on a socket of its own, and prints how many passed.
#[expect(clippy::print_stdout, reason = "people want to know how many, too")]
async fn check(section: &str, cases: Vec<Case>) {
    assert!(!cases.is_empty(), "section {section} has no case");
    let node = Node::unlimited().await;
    let mut failed = Vec::new();
    for case in &cases {
        if let Err(difference) = run(&node, case).await {
            failed.push(format!("{} {} ({:?}): {difference}", case.id, case.what, case.codec));
        }
    }
    println!("RFC 6455, section {section}: passed {} of {}", cases.len() - failed.len(), cases.len());
    assert!(failed.is_empty(), "section {section}:\n{}", failed.join("\n"));
}

#[tokio::test]
async fn section_1_framing() {
    check("1 (framing)", framing::cases()).await;
}

#[tokio::test]
async fn section_2_pings_and_pongs() {
    check("2 (pings and pongs)", control::pings()).await;
}

#[tokio::test]
async fn section_3_reserved_bits() {
    check("3 (reserved bits)", control::reserved_bits()).await;
}

#[tokio::test]
async fn section_4_opcodes() {
    check("4 (opcodes)", control::opcodes()).await;
}

#[tokio::test]
async fn section_5_fragmentation() {
    check("5 (fragmentation)", fragments::cases()).await;
}

#[tokio::test]
async fn section_6_utf8() {
    check("6 (UTF-8)", utf8::cases()).await;
}

#[tokio::test]
async fn section_7_closing() {
    check("7 (closing)", close::cases()).await;
}

#[tokio::test]
async fn section_9_limits() {
    check("9 (limits, scaled down)", limits::cases()).await;
}

#[tokio::test]
async fn section_10_miscellaneous() {
    check("10 (miscellaneous)", limits::miscellaneous()).await;
}
