"""Several looks at one film, averaged: what that gains and what it costs. None of it is switched on."""
