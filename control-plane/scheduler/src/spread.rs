//! Spreading pods over topology domains: upstream's PodTopologySpread, its filter and its score.

mod constraint;
mod filter;
mod score;

#[cfg(test)]
mod tests;

pub(crate) use filter::SpreadFilter;
pub(crate) use score::spread_scores;
