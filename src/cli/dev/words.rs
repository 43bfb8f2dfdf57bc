//! Passwords that can be read aloud: four words drawn with the operating system's randomness.
//!
//! 24 bits, for the demonstration's people only; guessing is slowed down like everybody's.

use crate::auth::random::{self, NoRandomness};

const WORDS: [&str; 64] = [
    "acacia", "amber", "anchor", "banyan", "bamboo", "basil", "beach", "breeze", "canoe", "cedar", "cinnamon",
    "citrus", "clove", "cobalt", "coral", "cove", "delta", "dune", "ebony", "fern", "filao", "garden", "ginger",
    "harbour", "hibiscus", "island", "ivory", "jasmine", "kestrel", "lagoon", "lantern", "lemon", "lychee", "mango",
    "maple", "marble", "meadow", "mint", "monsoon", "nectar", "nutmeg", "oasis", "olive", "orchid", "palm", "papaya",
    "pearl", "pepper", "plume", "quartz", "raffia", "reef", "river", "saffron", "sail", "sandal", "savanna", "shell",
    "spice", "tamarind", "tide", "vanilla", "velvet", "zebra",
];

/// A new password.
pub fn password() -> Result<String, NoRandomness> {
    let random = random::bytes()?;
    let words: Vec<&str> = random.iter().take(4).map(|byte| WORDS[usize::from(*byte) % WORDS.len()]).collect();
    Ok(words.join("-"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_word_counts_and_passwords_differ() {
        assert_eq!(WORDS.iter().collect::<HashSet<_>>().len(), WORDS.len());
        assert_eq!(password().unwrap().split('-').count(), 4);
        assert_ne!(password().unwrap(), password().unwrap());
    }
}
