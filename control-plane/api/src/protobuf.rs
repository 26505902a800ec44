//! Request bodies in protobuf.
