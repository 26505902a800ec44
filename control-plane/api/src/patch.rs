//! The patch rules of the API.
