"""A service under load: doors ask all the time, people come and go, and nobody is known after they have left."""
