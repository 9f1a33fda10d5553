// The ways to take a run away, in words. The names are those of WAYS in recipe_share.py.

const WAYS = {
  link: { label: 'Link', help: 'Opens as a filled-in page. Nothing runs by itself.' },
  script: { label: 'Code', help: 'Plain transformers, without this app. It checks that its ids are the same.', alone: true },
  notebook: { label: 'Notebook', help: 'The same code in cells, for Jupyter and Colab.', alone: true },
  curl: { label: 'curl', help: 'Asks this app, as it runs now.', alone: true },
  client: { label: 'Python client', help: 'Asks this app through gradio_client.', alone: true },
  file: { label: 'File', help: 'The whole recipe as JSON, with every id. The Recipe tab opens it.' },
  markdown: { label: 'Markdown', help: 'For notes and issues: prompt, answer and where they come from.' },
  csv: { label: 'CSV', help: 'One line a lane, for a spreadsheet.' },
};

// Where a link leads: the page's own address, or that of its Space.
function linkTo(payload) {
  return `${window.recipeAddress || location.origin + location.pathname}#recipe=${payload}`;
}
