//! (room: fleet)
