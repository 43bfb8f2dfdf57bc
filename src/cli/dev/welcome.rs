//! What `parlour dev` prints once it is ready: at most 12 lines and a QR code for people, one line of JSON for programs.
//! Every node beyond the second takes a line more.
//!
//! Pure: everything printed is handed in. The secrets in it belong to a demonstration on this machine.

use std::path::Path;

use fast_qr::QRBuilder;
use parlour_protocol::id::{ConversationId, OrganizationId};
use serde::Serialize;

use crate::cli::dev::state::Demo;

/// A member of staff who can come in at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Staff {
    pub email: String,
    pub password: String,
    /// A fresh access token.
    pub token: String,
}

/// Where one node is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    pub http_url: String,
    pub ws_url: String,
}

impl Node {
    /// The node whose addresses begin like this.
    pub fn at(http_url: String) -> Self {
        Self { ws_url: format!("{}/api/v1/ws", http_url.replacen("http", "ws", 1)), http_url }
    }

    fn console_url(&self) -> String {
        format!("{}/console", self.http_url)
    }
}

/// Everything there is to know to begin. What is not of one node leads to the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Welcome {
    pub http_url: String,
    pub ws_url: String,
    pub console_url: String,
    pub organization_id: OrganizationId,
    pub conversation_id: ConversationId,
    pub staff: Vec<Staff>,
    pub share_url: String,
    pub api_key: String,
    /// Every node, the first one too.
    pub nodes: Vec<Node>,
}

impl Welcome {
    /// From what is remembered, where it is reached and whom it lets in.
    pub fn new(demo: &Demo, first: &Node, others: &[Node], staff: Vec<Staff>) -> Self {
        Self {
            http_url: first.http_url.clone(),
            ws_url: first.ws_url.clone(),
            console_url: first.console_url(),
            organization_id: demo.organization,
            conversation_id: demo.conversation,
            staff,
            share_url: share_url(first, &demo.link.token),
            api_key: demo.api_key.clone(),
            nodes: std::iter::once(first).chain(others).cloned().collect(),
        }
    }

    /// The words for people.
    pub fn text(&self, data_dir: &Path, lan: bool) -> String {
        let mut lines = vec![format!("Parlour is ready.    Console   {}", self.console_url)];
        for person in &self.staff {
            lines.push(format!("  log in as          {}   password   {}", person.email, person.password));
        }
        lines.push(format!("  client's link      {}", self.share_url));
        lines.extend(self.words_of_other_nodes());
        lines.push(format!("  API key            {}", self.api_key));
        lines.push(format!("  for the tour       {}", self.export()));
        lines.push("Push a message into the client's room:".to_owned());
        lines.push(self.curl());
        lines.push(format!("DEVELOPMENT DATABASE at {}   (parlour dev --reset throws it away)", data_dir.display()));
        let phones = if lan { "phones on this network can scan" } else { "with --lan a phone can scan" };
        lines.push(format!("Stop with Ctrl-C. The client's link, which {phones}:"));
        lines.join("\n")
    }

    /// The other consoles, and a link for a second client: the same one, by way of the second node.
    fn words_of_other_nodes(&self) -> Vec<String> {
        let others = self.nodes.iter().enumerate().skip(1);
        let mut lines: Vec<String> =
            others.map(|(index, node)| format!("  console, node {}    {}", index + 1, node.console_url())).collect();
        if let (Some(second), Some((_, token))) = (self.nodes.get(1), self.share_url.rsplit_once('/')) {
            lines.push(format!("  2nd client's link  {}", share_url(second, token)));
        }
        lines
    }

    /// The client's link as a QR code of half blocks; empty when it does not fit into one.
    pub fn qr(&self) -> String {
        QRBuilder::new(self.share_url.as_str()).build().map_or_else(|_| String::new(), |code| code.to_str())
    }

    /// The same in white on black, whatever the terminal's colours: not every phone reads a negative.
    pub fn qr_in_colors(&self) -> String {
        self.qr().lines().map(|line| format!("\x1b[97;40m{line}\x1b[0m\n")).collect()
    }

    /// The variables that the commands in README.md speak of.
    fn export(&self) -> String {
        format!("export PARLOUR={} KEY={} CONVERSATION={}", self.http_url, self.api_key, self.conversation_id)
    }

    fn curl(&self) -> String {
        format!(
            "curl -sS -w '\\n' {}/api/v1/conversations/{}/entries -H 'Authorization: Bearer {}' \
             -H 'Content-Type: application/json' -d '{{\"kind\":\"message\",\"text\":\"Hello from curl\"}}'",
            self.http_url, self.conversation_id, self.api_key
        )
    }
}

/// Every node knows every link.
fn share_url(node: &Node, token: &str) -> String {
    format!("{}/s/{token}", node.http_url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn welcome() -> Welcome {
        let person = |name: &str| Staff {
            email: format!("{name}@lagon-savane.example"),
            password: "lagoon-reef-mango-tide".to_owned(),
            token: "eyJ.token".to_owned(),
        };
        Welcome {
            http_url: "http://127.0.0.1:8080".to_owned(),
            ws_url: "ws://127.0.0.1:8080/api/v1/ws".to_owned(),
            console_url: "http://127.0.0.1:8080/console".to_owned(),
            organization_id: OrganizationId::generate(),
            conversation_id: ConversationId::generate(),
            staff: vec![person("amira"), person("kevin")],
            share_url: format!("http://127.0.0.1:8080/s/parlour_sh_{}", "x".repeat(48)),
            api_key: format!("parlour_sk_{}", "y".repeat(48)),
            nodes: vec![Node::at("http://127.0.0.1:8080".to_owned())],
        }
    }

    #[test]
    fn the_words_fit_into_twelve_lines_and_hold_everything() {
        let welcome = welcome();
        let text = welcome.text(Path::new("/var/lib/parlour"), false);
        assert!(text.lines().count() <= 12, "{text}");
        for needed in [&welcome.console_url, &welcome.share_url, &welcome.api_key, &welcome.staff[1].password] {
            assert!(text.contains(needed.as_str()), "{needed}");
        }
        assert!(text.contains(&format!(" CONVERSATION={}\n", welcome.conversation_id)), "the tour's variables");
        assert!(text.contains("DEVELOPMENT DATABASE at /var/lib/parlour") && text.contains("Ctrl-C"));
        assert!(!text.contains("eyJ"), "tokens are for programs");
        assert!(!text.contains("2nd"), "there is one node");
    }

    #[test]
    fn a_second_node_has_its_console_and_a_link_for_a_second_client() {
        let mut welcome = welcome();
        welcome.nodes.push(Node::at("http://127.0.0.1:8081".to_owned()));
        assert_eq!(welcome.nodes[1].ws_url, "ws://127.0.0.1:8081/api/v1/ws");
        let text = welcome.text(Path::new("/var/lib/parlour"), false);
        assert!(text.lines().count() <= 12, "{text}");
        assert!(text.contains("console, node 2    http://127.0.0.1:8081/console\n"), "{text}");
        assert!(text.contains("2nd client's link  http://127.0.0.1:8081/s/parlour_sh_xxx"), "{text}");
    }

    #[test]
    fn the_qr_code_is_a_square_of_half_blocks() {
        let qr = welcome().qr();
        let widths: Vec<usize> = qr.lines().map(|line| line.chars().count()).collect();
        assert!(widths.len() > 15 && widths.iter().all(|width| *width == widths[0]), "{qr}");
        assert!(qr.chars().all(|c| matches!(c, '█' | '▀' | '▄' | ' ' | '\n')));
    }

    #[test]
    fn programs_get_one_line_with_the_documented_fields() {
        let json = serde_json::to_string(&welcome()).unwrap();
        assert!(!json.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let mut fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        let expected = [
            "api_key",
            "console_url",
            "conversation_id",
            "http_url",
            "nodes",
            "organization_id",
            "share_url",
            "staff",
            "ws_url",
        ];
        assert_eq!(fields, expected);
        assert!(value["staff"][0]["token"].is_string());
        let node = serde_json::json!({"http_url": value["http_url"], "ws_url": value["ws_url"]});
        assert_eq!(value["nodes"], serde_json::json!([node]), "the first node is what stands above");
    }
}
