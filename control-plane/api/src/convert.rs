//! The convert rules of the API.
