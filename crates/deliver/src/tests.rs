//! Deliveries under simulated time, network, DNS and store.
