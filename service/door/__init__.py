"""One door: frames from a camera, decisions from a service or the local site, outputs that open it, and MQTT."""
