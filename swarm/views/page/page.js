{const d=document,t=d.getElementById('t'),f=d.getElementById('f'),h=[...t.tHead.rows[0].cells],b=t.tBodies[0],
i=f.querySelector('input'),o=f.querySelector('output');f.hidden=false;
i.oninput=()=>{const q=i.value.toLowerCase();let n=0;for(const x of b.rows)n+=!(x.hidden=!x.textContent.toLowerCase().includes(q));
o.value=q?`${n} of ${b.rows.length}`:''};
const s=()=>{const n=h.findIndex(c=>c.ariaSort?.endsWith('g'));if(n<0)return;const m=h[n].ariaSort=='ascending'?1:-1,
v=x=>x.cells[n].dataset.v??x.cells[n].textContent;
b.append(...[...b.rows].sort((x,y)=>m*(h[n].className=='n'?v(x)-v(y):v(x).localeCompare(v(y),'en',{numeric:true}))))};
h.forEach((c,n)=>{const k=d.createElement('button');k.textContent=c.textContent;c.replaceChildren(k);k.onclick=()=>{
const u=c.ariaSort=='descending'||!n&&c.ariaSort!='ascending';for(const x of h)x.ariaSort='none';
c.ariaSort=u?'ascending':'descending';s()}});
t.renew=r=>{b.replaceChildren(...r);s();i.oninput()}}
