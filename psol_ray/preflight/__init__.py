"""What is looked at before a run: machines, places, versions and rates. Knows no Ray; imports nothing by itself."""
