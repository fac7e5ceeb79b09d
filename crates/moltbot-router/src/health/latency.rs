//! Peak-EWMA.
