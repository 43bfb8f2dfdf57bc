//! Whether the abuse limits hold: one switch for everything that slows callers down, so that none is forgotten.

/// Whether rates, counts per address and guessing are limited. Sizes and budgets of memory always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitsProfile {
    /// As documented.
    #[default]
    Standard,
    /// Lifted, for rigs and benchmarks; never on a public address.
    Test,
}
