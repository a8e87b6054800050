"""Programs a user runs now and then, and the download of the data sets."""
