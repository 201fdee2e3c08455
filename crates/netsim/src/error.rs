//! The one error type of this crate.

/// A model that no path can have. Always the caller's fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A probability that is not one.
    #[error("path model: {what} is {value}; a probability is between 0 and 1")]
    Probability {
        /// Which field of the model.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// A blackout that ends before it begins.
    #[error("path model: a blackout from {from} to {until} µs ends before it begins")]
    Blackout {
        /// Its first microsecond.
        from: u64,
        /// The microsecond at which it is over.
        until: u64,
    },
}
