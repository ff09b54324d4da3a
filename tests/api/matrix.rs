//! Every route, every kind of caller, every object.
