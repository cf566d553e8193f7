"""An engine that answers at the speed the physics predicts, for demos and tests without chips."""
