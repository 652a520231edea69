"""Made-up data that tests of several packages use: images, catalogs, tables, networks, trainings."""
