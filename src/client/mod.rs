//! (room: client)
