"""What more machines would do, by a discrete model that is fed with what this one takes."""
