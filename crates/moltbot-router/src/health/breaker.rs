//! Pure breaker.
