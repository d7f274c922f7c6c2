"""The report as one HTML page that needs no server and no network.

`document` makes a self-contained page of any template here, with the style and the scripts inside.
`gallery` is the data that `gallery.js` shows as images. `report` makes the page of a report.
"""
