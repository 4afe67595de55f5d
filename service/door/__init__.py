"""One door: frames from a camera, decisions from the service or the site here, a relay, and a broker that is told."""
